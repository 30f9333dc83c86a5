// A phone made with JsSIP.

const media = { mediaConstraints: { audio: true, video: false } };

window.start = ({ url, user, password, domain, expires_s, answers }) => {
  const phone = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(url)],
    uri: `sip:${user}@${domain}`,
    password,
    register_expires: expires_s,
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 2,
  });
  let current;
  for (const event of ["connected", "disconnected", "registered", "unregistered"]) {
    phone.on(event, () => tell(event));
  }
  phone.on("registrationFailed", (fact) => tell("registrationFailed", { cause: fact.cause }));
  phone.on("newRTCSession", ({ originator, session, request }) => {
    current = session;
    session.on("reinvite", () => tell("reinvite"));
    for (const event of ["progress", "confirmed", "ended", "failed", "hold", "unhold"]) {
      session.on(event, (fact) => tell(event, { cause: fact?.cause, by: fact?.originator }));
    }
    if (originator === "remote") {
      tell("incoming", { uri: String(request.ruri) });
      if (answers) session.answer(media);
    }
  });
  window.orders = {
    answer: () => current.answer(media),
    call: (uri) => phone.call(uri, media),
    hangup: () => current.terminate(),
    reject: () => current.terminate({ status_code: 486 }),
    hold: () => current.hold(),
    resume: () => current.unhold(),
    renew: () => current.renegotiate({}, () => tell("renewed")),
    unregister: () => phone.unregister(),
  };
  phone.start();
};
