// Opens JupyterLab as a newcomer does: the first page, its link to a notebook, Run All Cells, Save. Takes its settings
// as JSON, tells what it sees as lines of JSON, and leaves pictures of both pages.
import { createRequire } from "node:module";

const settings = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${settings.modules}/`)("playwright-core");
const tell = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);

const browser = await chromium.launch({ executablePath: settings.chromium, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1300, height: 1000 } });
  page.setDefaultTimeout(settings.patience_s * 1000);
  await page.goto(settings.url);
  const first = page.locator(".jp-NotebookPanel:visible");
  await first.getByRole("link", { name: settings.link }).waitFor();
  await first.locator(".jp-OutputArea-output img").first().waitFor();
  await page.screenshot({ path: `${settings.folder}/launcher.png` });
  tell("launcher", { links: await first.locator(".jp-RenderedMarkdown li a").count() });

  await first.getByRole("link", { name: settings.link }).click();
  const notebook = page.locator(".jp-NotebookPanel:visible", { has: page.locator("h1", { hasText: settings.title }) });
  await notebook.locator(".jp-CodeCell").first().waitFor();
  const menu = async (name, item) => {
    await page.locator(".lm-MenuBar-item", { hasText: new RegExp(`^${name}$`) }).click();
    await page.locator(".lm-Menu-item:visible", { hasText: item }).first().click();
  };
  await menu("Edit", "Clear Outputs of All Cells"); // what was kept: all that is seen from here on was made here
  await menu("Run", /^Run All Cells/);
  const prompts = () => notebook.locator(".jp-CodeCell .jp-InputArea-prompt").allTextContents();
  const deadline = Date.now() + settings.patience_s * 1000;
  let seen = await prompts();
  while (!(seen.length && seen.every((prompt) => /^\[\d+\]:$/.test(prompt))) && Date.now() < deadline) {
    await page.waitForTimeout(200);
    seen = await prompts();
  }
  await page.keyboard.press("Control+s");
  const picture = notebook.locator(".jp-OutputArea-output img").first();
  const inSight = async () => {
    await picture.scrollIntoViewIfNeeded();
    await page.waitForTimeout(300); // JupyterLab draws what comes into sight, which moves what is there
    return picture.evaluate((image) => {
      const { top, bottom } = image.getBoundingClientRect();
      return image.complete && top >= 0 && bottom <= window.innerHeight;
    });
  };
  let looked = await inSight();
  while (!looked && Date.now() < deadline) looked = await inSight();
  await page.screenshot({ path: `${settings.folder}/notebook.png` });
  tell("ran", {
    prompts: seen,
    looked,
    pictures: await notebook.locator(".jp-OutputArea-output img").count(),
    asked: await page.locator(".Toastify__toast").allTextContents(),
    errors: await notebook.locator('[data-mime-type="application/vnd.jupyter.error"]').allTextContents(),
  });
} finally {
  await browser.close();
}
