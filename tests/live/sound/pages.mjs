// Many phones in one headless Chromium, a page each. Orders come as lines of JSON: {open: {...}} makes a page of that
// name, {page, order, argument} is for one. What pages tell leaves as lines of JSON. Ends with its standard input.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const settings = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${settings.modules}/`)("playwright-core");

const server = createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<title>phone</title>");
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

function tell(page, event, more = {}) {
  process.stdout.write(`${JSON.stringify({ page, event, ...more })}\n`);
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
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    `--ignore-certificate-errors-spki-list=${settings.spki.join(",")}`,
  ],
});
const pages = new Map();

async function open(phone) {
  const page = await browser.newPage();
  await page.exposeFunction("tell", (event, more) => tell(phone.name, event, more));
  page.on("pageerror", (error) => tell(phone.name, "error", { text: String(error) }));
  await page.goto(`http://localhost:${server.address().port}/`);
  for (const path of phone.scripts) await page.addScriptTag({ path });
  pages.set(phone.name, page);
  await page.evaluate((phone) => window.sound(phone.hz).then(() => window.start(phone)), phone);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { open: phone, page, order, argument } = JSON.parse(line);
  if (phone) await open(phone);
  else
    pages
      .get(page)
      .evaluate(([order, argument]) => window.orders[order](argument), [order, argument])
      .catch((error) => tell(page, "error", { text: String(error) }));
}
await browser.close();
server.close();
