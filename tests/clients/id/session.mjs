// A mapper's whole session with the iD editor, unmodified, as `osmdb serve --editor` has it at /edit/, in a headless
// Chromium: it loads a box, adds a node, tags a road, saves, and meets the edit of somebody else as a conflict.
// Usage: node session.mjs URL [PICTURE]
import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

const [url, picture] = process.argv.slice(2);

// Whatever iD would fetch from elsewhere, pictures of the ground among it, is not there where there is no internet.
function answer(request) {
  const asked = new URL(request.url());
  const local = ['data:', 'blob:'].includes(asked.protocol) || asked.origin === new URL(url).origin;
  return local ? request.continue() : request.abort();
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
  defaultViewport: { width: 1200, height: 800 },
});
try {
  const page = await browser.newPage();
  const failed = [];
  page.on('response', (answered) => {
    const asked = new URL(answered.url());
    if (asked.pathname.startsWith('/api/') && answered.status() >= 400) {
      failed.push(`${answered.status()} ${asked.pathname}`);
    }
  });
  await page.setRequestInterception(true);
  page.on('request', answer);
  await page.evaluateOnNewDocument(() => {
    localStorage.setItem('sawSplash', true);
    localStorage.setItem('sawPrivacyVersion', '20201202');
  });
  await page.goto(`${url}/edit/#map=18/10.0040/20.0030`);
  await page.waitForFunction('window.context?.hasEntity("n5") && context.hasEntity("w1")', { timeout: 60_000 });

  const save = (comment) => page.evaluate((comment) => new Promise((done) => {
    const uploader = context.uploader();
    let outcome = {};
    uploader
      .on('resultSuccess.test', (changeset) => { outcome = { saved: changeset.id }; })
      .on('resultErrors.test', (errors) => { outcome = { errors: errors.map((error) => error.msg) }; })
      .on('resultConflicts.test', (changeset, conflicts) => done({ conflicts: conflicts.map((one) => one.id) }))
      .on('saveEnded.test', () => done(outcome));
    uploader.save(new iD.osmChangeset({ tags: { comment, created_by: 'iD' } }), false, true);
  }), comment);

  await page.evaluate(() => {
    const tap = new iD.osmNode({ loc: [20.0035, 10.0045], tags: { amenity: 'drinking_water' } });
    const street = { ...context.entity('w1').tags, surface: 'gravel' };
    context.perform(iD.actionAddEntity(tap), iD.actionChangeTags('w1', street), 'a tap and a surface');
  });
  const first = await save('a tap and a surface');
  assert.ok(first.saved, JSON.stringify(first));
  const map = async () =>
    (await (await fetch(`${url}/api/0.6/map.json?bbox=20.0,10.0,20.01,10.01`)).json()).elements;
  const after = await map();
  assert.ok(after.some((one) => one.tags?.amenity === 'drinking_water'), 'the tap is there');
  const street = after.find((one) => one.type === 'way' && one.id === 1);
  assert.equal(street.tags.surface, 'gravel');
  const changeset = await (await fetch(`${url}/api/0.6/changeset/${first.saved}.json`)).json();
  assert.equal((changeset.changeset ?? changeset.elements[0]).open, false, 'iD closes what it opened');
  if (picture) await page.screenshot({ path: picture });

  // Somebody else digs a well, with an id that is made here. iD loads the map anew, as it does behind a save, and
  // gives that well a name: it must know the id exactly, though JavaScript's numbers are not exact beyond 2^53.
  const post = async (method, to, body) => {
    const answered = await fetch(url + to, { method, body, headers: { 'content-type': 'text/xml' } });
    const text = await answered.text();
    assert.ok(answered.ok, `${to}: ${answered.status} ${text}`);
    return text;
  };
  const spring = after.find((one) => one.type === 'node' && one.id === 5);
  const other = await post('PUT', '/api/0.6/changeset/create', '<osm><changeset/></osm>');
  const well = await post('PUT', '/api/0.6/node/create',
    `<osm><node changeset="${other}" lat="10.0038" lon="20.0028"><tag k="man_made" v="water_well"/></node></osm>`);
  await page.evaluate(() => {
    context.flush();
    context.loadTiles(context.projection);
  });
  await page.waitForFunction(`context.hasEntity("n${well}") && context.hasEntity("w1")`, { timeout: 60_000 });
  assert.equal(await page.evaluate('context.entity("w1").tags.surface'), 'gravel');
  await page.evaluate((id) => {
    const tags = { ...context.entity(id).tags, name: 'Pou Nou' };
    context.perform(iD.actionChangeTags(id, tags), 'a name');
  }, `n${well}`);
  const named = await save('a name');
  assert.ok(named.saved, JSON.stringify(named));
  await page.evaluate(() => {
    context.flush();
    context.loadTiles(context.projection);
  });
  await page.waitForFunction('context.hasEntity("n5")', { timeout: 60_000 });

  // Somebody else names the spring; iD, which does not know, gives it another name.
  await post('PUT', '/api/0.6/node/5', `<osm><node id="5" changeset="${other}" version="${spring.version}"
    lat="10.004" lon="20.002"><tag k="natural" v="spring"/><tag k="name" v="Font Nova"/></node></osm>`);
  await page.evaluate(() => {
    const tags = { ...context.entity('n5').tags, name: 'Font Freda' };
    context.perform(iD.actionChangeTags('n5', tags), 'another name');
  });
  const second = await save('another name');
  assert.deepEqual(second.conflicts, ['n5'], JSON.stringify(second));
  assert.deepEqual(failed, [], 'nothing that iD asked for was refused');
  console.log(`iD: a whole session, changeset ${first.saved}, one conflict`);
} finally {
  await browser.close();
}
