// Looks at the live map as an operator would and fails on the first thing that is wrong.
// Usage: node console.mjs SCREENSHOT_DIR, with ROADCAST_URL and CHROMIUM in the environment.

import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const url = process.env.ROADCAST_URL;
const out = process.argv[2];
/** Longest wait for one thing to appear; a loaded machine draws a map in software slowly. */
const WAIT_MS = 180_000;
/** The demo's incident needs some minutes of event time to become a jam. */
const JAM_MS = Number(process.env.ROADCAST_JAM_WAIT_MS ?? 240_000);
const LEVELS = ["#19b36b", "#9ccc3c", "#ffd23c", "#ff8b2b", "#ea2f35"];

async function until(what, milliseconds, probe) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = await probe().catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${milliseconds / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function passed(what) {
  process.stdout.write(`ok ${what}\n`);
}

await until("the engine is ready", WAIT_MS, async () => (await fetch(new URL("readyz", url))).ok);
passed("ready");

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  protocolTimeout: WAIT_MS,
  args: [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

const complaints = [];
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 720 });
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("data:"))
      complaints.push(`request to ${request.url()}`);
  });
  await page.goto(new URL("?lang=en", url).href);

  const drawn = () =>
    page.evaluate(() => {
      const { view, page: data } = globalThis.roadcast ?? {};
      if (!data?.minute || !view.network) return 0;
      return view.map.queryRenderedFeatures({ layers: ["ground", "raised"] }).length;
    });
  const count = await until("segments are drawn", WAIT_MS, drawn);
  passed(`${count} segments drawn`);

  // The drawing itself, not what MapLibre says of it: pixels of level colours inside the canvas.
  // Counted in the browser on a screenshot, since the page's policy lets nothing else in.
  const blank = await browser.newPage();
  const levelPixels = async () => {
    const clip = { x: 260, y: 90, width: 600, height: 480 };
    const png = await page.screenshot({ clip, encoding: "base64" });
    return blank.evaluate(
      async (data, colours) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
        const canvas = new OffscreenCanvas(image.width, image.height);
        const pen = canvas.getContext("2d");
        pen.drawImage(image, 0, 0);
        const { data: bytes } = pen.getImageData(0, 0, image.width, image.height);
        const wanted = colours.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
        const counts = wanted.map(() => 0);
        for (let at = 0; at < bytes.length; at += 4) {
          wanted.forEach(([r, g, b], index) => {
            const off = Math.abs(bytes[at] - r) + Math.abs(bytes[at + 1] - g) + Math.abs(bytes[at + 2] - b);
            if (off < 12) counts[index] += 1;
          });
        }
        return counts;
      },
      png,
      LEVELS,
    );
  };
  const pixels = await until("segments are coloured", WAIT_MS, async () => {
    await page.bringToFront();
    const counts = await levelPixels();
    return counts.reduce((a, b) => a + b, 0) > 1_000 ? counts : undefined;
  });
  passed(`pixels by level ${pixels.join(" ")}`);
  await page.bringToFront();

  const text = (selector) => page.$eval(selector, (element) => element.textContent);
  await until("data are fresh", WAIT_MS, () =>
    page.$eval("#age", (element) => element.dataset.state === "fresh"),
  );
  assert.match(await text("#age"), /Data \d+ (s|min) old/);
  assert.match(await text("#clock"), /^\d\d:\d\d:\d\d$/);
  passed(`data age: ${await text("#age")}`);

  // An incident, before its time is over: from the list to its popup, which names a cause.
  const still = () =>
    until("the map stands still", WAIT_MS, () =>
      page.evaluate(() => !globalThis.roadcast.view.map.isMoving()),
    );
  const closed = () => until("the popup closes", WAIT_MS, async () => !(await page.$(".incident")));
  const lasting = '.incident-line:not([data-state="clearing"])';
  const incident = await until("an incident is listed", JAM_MS, () =>
    page.$eval(lasting, (line) => line.getAttribute("aria-label")),
  );
  assert.match(incident, /^[A-Z][a-z ]+, .+, since \d\d:\d\d, (suspected|confirmed)$/);
  await page.click(lasting);
  const [cause, grounds] = await until("its popup names a cause", WAIT_MS, () =>
    page.$eval(".incident [data-cause]", (item) => [...item.children].map((part) => part.textContent)),
  );
  assert.ok(cause.length > 3 && grounds.length > 3, `${cause}: ${grounds}`);
  assert.ok((await page.$$(".incident [data-evidence]")).length > 0, "evidence is told");
  assert.match(await text(".incident .facts"), /Since\d\d:\d\dSeverity[1-4] · \w+Confidence\d+ %/);
  passed(`incident: ${incident}; ${cause} (${grounds})`);
  await still();
  await page.screenshot({ path: `${out}/incident-en.png` });

  // An operator's verdict is taken. The note on it goes with the change that it brings.
  let answer;
  page.on("response", (response) => {
    if (new URL(response.url()).pathname.endsWith("/order")) answer = response.status();
  });
  await until("the verdict is answered", WAIT_MS, async () => {
    if (answer === undefined) await page.click(".incident .confirm");
    return answer;
  });
  assert.equal(answer, 202);
  passed("verdict taken");
  await page.keyboard.press("Escape");
  await closed();

  // The same from the map, by a click on the circle and by Enter with it in the middle.
  const circle = await page.evaluate(() => {
    const { map, incidents } = globalThis.roadcast.view;
    map.stop();
    map.jumpTo({ center: incidents.features[0].geometry.coordinates });
    const { x, y } = map.project(map.getCenter());
    return [x, y];
  });
  await until("a click opens the popup", WAIT_MS, async () => {
    if (!(await page.$(".incident"))) await page.mouse.click(...circle);
    return page.$(".incident");
  });
  await still();
  await page.keyboard.press("Escape");
  await closed();
  await page.evaluate(() => {
    const { map, incidents } = globalThis.roadcast.view;
    map.jumpTo({ center: incidents.features[0].geometry.coordinates });
  });
  await until("Enter opens the popup", WAIT_MS, async () => {
    if (!(await page.$(".incident"))) {
      await page.focus("canvas.maplibregl-canvas");
      await page.keyboard.press("Enter");
    }
    return page.$(".incident");
  });
  await still();
  await page.keyboard.press("Escape");
  await closed();
  await page.click("#zoom-fit");
  await still();
  passed("incident opened by click and Enter");

  // A jam, and a way round it.
  // Advice comes and goes: what is read must be read as it is found.
  const jam = await until("a jam is listed", JAM_MS, () => text('.advice[data-kind="jam"] .title'));
  passed(`jam: ${jam}`);
  await page.screenshot({ path: `${out}/jam-en.png` });
  const [diversion, reason] = await until("a diversion is listed", JAM_MS, () =>
    page.$eval('.advice[data-kind="diversion"]', (advice) =>
      [".title", ".reason"].map((part) => advice.querySelector(part).textContent),
    ),
  );
  passed(`diversion: ${diversion}`);
  assert.ok(reason.length > 10, "a reason is given");
  const roles = await until("guidance is drawn", WAIT_MS, () =>
    page.evaluate(() => {
      const roles = globalThis.roadcast.view.guidance.features.map(({ properties }) => properties.role);
      return roles.includes("jam") && roles.includes("alternative") && [...new Set(roles)];
    }),
  );
  passed(`drawn: ${roles.join(", ")}`);
  await page.screenshot({ path: `${out}/diversion-en.png` });

  // What forecasts are worth, beside the baselines.
  const quality = await until("the quality of forecasts is told", WAIT_MS, () =>
    page.$eval("#scores:not([hidden]) #scores-short", (element) => element.textContent),
  );
  assert.match(quality, /^90 % interval holds \d+ %/);
  await page.click("#scores summary");
  const scored = await page.$$eval("#scores tbody tr", (rows) => rows.map((row) => row.dataset.forecaster));
  assert.deepEqual(scored, ["published", "running", "last_value", "profile", "profile_residual"]);
  assert.match(await text('#scores tr[data-forecaster="running"] td'), /^\d+\.\d$/);
  passed(`forecasts: ${quality}`);
  await page.screenshot({ path: `${out}/scores-en.png` });
  await page.click("#scores summary");

  // The slider shows the forecast: its levels, on the map too.
  await until("a forecast is there", WAIT_MS, () =>
    page.evaluate(() => Boolean(globalThis.roadcast.page.minute.forecast)),
  );
  const shown = () => page.evaluate(() => globalThis.roadcast.view.levels.join(""));
  const now = await shown();
  await page.$eval("#step", (input) => input.focus());
  for (let press = 0; press < 12; press += 1) await page.keyboard.press("ArrowRight");
  const ahead = await until("the slider changes the colours", WAIT_MS, async () => {
    const levels = await shown();
    return levels !== now ? levels : undefined;
  });
  const stated = await page.evaluate(() => globalThis.roadcast.page.minute.forecast.level[11]);
  assert.equal(ahead.length, stated.length);
  assert.match(await text("#when"), /\+60 min · \d\d:\d\d–\d\d:\d\d forecast/);
  const changed = [...ahead].filter((level, index) => level !== now[index]).length;
  passed(`slider to +60 min: ${changed} of ${ahead.length} segments change level`);
  await page.screenshot({ path: `${out}/forecast-en.png` });
  await page.keyboard.press("Home");
  await until("back to now", WAIT_MS, async () => (await text("#when")).startsWith("Now"));

  // A click on a segment tells about it, with a chart of its forecast.
  await page.evaluate(() => {
    const { view, page: data } = globalThis.roadcast;
    const { jam } = data.messages.find((message) => message.jam) ?? {};
    const id = jam ? jam.head.segment : 0;
    const [lon, lat] = view.segments[id].geometry.coordinates[0];
    return view.onPick(id, [lon, lat]);
  });
  await until("the popup opens", WAIT_MS, () => page.$(".segment .spark .band"));
  assert.match(await text(".segment-now"), /\d+ ± \d+ km\/h/);
  passed(`popup: ${await text(".segment h3")}, ${await text(".segment-now")}`);
  await page.keyboard.press("Escape");
  await until("Escape closes it", WAIT_MS, async () => !(await page.$(".segment")));

  // The other language.
  await page.click("#language");
  await until("the page speaks Chinese", WAIT_MS, async () => (await text("#guidance-title")) === "交通诱导");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  assert.match(await text("#age"), /数据延迟/);
  assert.equal(await text("#scores-title"), "预测质量");
  assert.equal(await text("#incidents-title"), "交通事件");
  await until("the map is drawn again", WAIT_MS, drawn);
  const chinese = await until("advice is in Chinese", JAM_MS, async () => {
    const title = await text(".advice .title");
    return /\p{Script=Han}/u.test(title) && title;
  });
  await page.screenshot({ path: `${out}/jam-zh.png` });
  passed(`Chinese: ${chinese}`);

  assert.deepEqual(complaints, [], "no errors, warnings or foreign requests");
  passed("no console errors, nothing fetched from elsewhere");
} finally {
  await browser.close();
}
