// A JsSIP phone in headless Chromium. Takes its settings as JSON, tells what happens as lines of JSON, and takes
// orders as lines on its standard input: hangup, call URI, unregister. Ends with its standard input.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const settings = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${settings.modules}/`)("playwright-core");

// On localhost: a secure context, as getUserMedia wants, and one that may connect to loopback addresses.
const server = createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<title>phone</title>");
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

const browser = await chromium.launch({
  executablePath: settings.chromium,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    ...(settings.spki ? [`--ignore-certificate-errors-spki-list=${settings.spki}`] : []),
  ],
});
const page = await browser.newPage();
await page.exposeFunction("tell", tell);
page.on("pageerror", (error) => tell("error", { text: String(error) }));
await page.goto(`http://localhost:${server.address().port}/`);
await page.evaluate(readFileSync(settings.jssip, "utf8") + "; window.JsSIP = JsSIP;");

await page.evaluate(({ url, user, password, domain, expires_s }) => {
  const phone = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(url)],
    uri: `sip:${user}@${domain}`,
    password,
    register_expires: expires_s,
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 2,
  });
  window.phone = phone;
  for (const event of ["connected", "disconnected", "registered", "unregistered"]) {
    phone.on(event, () => tell(event));
  }
  phone.on("registrationFailed", (fact) => tell("registrationFailed", { cause: fact.cause }));
  phone.on("newRTCSession", ({ originator, session, request }) => {
    window.session = session;
    for (const event of ["confirmed", "ended", "failed"]) {
      session.on(event, (fact) => tell(event, { cause: fact?.cause, by: fact?.originator }));
    }
    if (originator === "remote") {
      tell("incoming", { uri: String(request.ruri), contact: request.getHeader("Contact") });
      session.answer({ mediaConstraints: { audio: true, video: false } });
    }
  });
  phone.start();
}, settings);

for await (const line of createInterface({ input: process.stdin })) {
  const [order, argument] = line.split(" ");
  await page.evaluate(
    ([order, argument]) => {
      if (order === "hangup") window.session.terminate();
      if (order === "call") window.phone.call(argument, { mediaConstraints: { audio: true, video: false } });
      if (order === "unregister") window.phone.unregister();
    },
    [order, argument],
  );
}
await browser.close();
server.close();
