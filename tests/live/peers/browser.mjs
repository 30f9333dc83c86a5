// A phone in headless Chromium. Takes its settings as JSON, tells what happens as lines of JSON, and takes orders as
// lines on its standard input: hangup, call URI, answer, unregister. Ends with its standard input.
// `phone` is the script that drives the library: it defines start(settings) and orders, and calls tell(event, more).

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
await page.addScriptTag({ path: settings.library });
await page.addScriptTag({ path: settings.phone });
await page.evaluate((settings) => window.start(settings), settings);

for await (const line of createInterface({ input: process.stdin })) {
  const [order, argument] = line.split(" ");
  await page.evaluate(([order, argument]) => window.orders[order](argument), [order, argument]);
}
await browser.close();
server.close();
