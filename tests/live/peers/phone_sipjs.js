// A phone made with SIP.js.

window.start = async ({ url, user, password, domain, expires_s, answers }) => {
  let current;
  let registerer;

  function follow(session) {
    current = session;
    const onBye = (bye) => {
      session.by = "remote";
      bye.accept(); // which is the delegate's business, once there is one
    };
    session.delegate = { onBye, onInvite: () => tell("reinvite") };
    session.stateChange.addListener((state) => {
      if (state === SIP.SessionState.Established) tell("confirmed");
      if (state === SIP.SessionState.Establishing) tell("progress");
      if (state === SIP.SessionState.Terminated) tell("ended", { by: session.by ?? "local" });
    });
  }

  const reinvite = (hold, event) => {
    current.sessionDescriptionHandlerOptionsReInvite = { hold };
    current.invite({ requestDelegate: { onAccept: () => tell(event) } });
  };

  const register = () =>
    registerer.register({
      requestDelegate: {
        onAccept: () => tell("registered"),
        onReject: (response) => tell("registrationFailed", { cause: response.message.reasonPhrase }),
      },
    });

  const phone = new SIP.UserAgent({
    uri: SIP.UserAgent.makeURI(`sip:${user}@${domain}`),
    authorizationUsername: user,
    authorizationPassword: password,
    transportOptions: { server: url },
    sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 500 },
    logBuiltinEnabled: false,
    delegate: {
      onConnect: () => {
        tell("connected");
        if (registerer) register();
      },
      onDisconnect: (error) => {
        tell("disconnected");
        if (error) again(); // as its documentation tells applications to do
      },
      onInvite: (invitation) => {
        follow(invitation);
        tell("incoming", { uri: String(invitation.request.ruri) });
        if (answers) invitation.accept();
      },
    },
  });
  const again = () => setTimeout(() => phone.reconnect().catch(again), 1000);

  window.orders = {
    answer: () => current.accept(),
    call: (uri) => {
      const inviter = new SIP.Inviter(phone, SIP.UserAgent.makeURI(uri));
      follow(inviter);
      inviter.invite();
    },
    hangup: () => (current.state === SIP.SessionState.Established ? current.bye() : current.cancel()),
    reject: () => current.reject({ statusCode: 486 }),
    hold: () => reinvite(true, "hold"),
    resume: () => reinvite(false, "unhold"),
    renew: () => reinvite(false, "renewed"),
    unregister: () =>
      registerer.unregister({ requestDelegate: { onAccept: () => tell("unregistered") } }),
  };
  await phone.start();
  registerer = new SIP.Registerer(phone, { expires: expires_s });
  register();
};
