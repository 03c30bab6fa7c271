// Asks a hyperbee that is elsewhere, over a link of 50 ms each way: one key, then a range. Prints a line of JSON for each.
//
//   npm ci && node wire.js [PAIRS] [RANGE]

import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import Hyperbee from 'hyperbee'
import Hypercore from 'hypercore'
import RAM from 'random-access-memory'

const LATENCY = 50
const [pairs = 100_000, range = 1_000] = process.argv.slice(2).map(Number)

/** The pair with a number: 16 + 100 bytes, the keys scattered. */
function pair (number) {
  const bytes = Buffer.concat([0, 1, 2, 3].map((part) => createHash('sha256').update(`${number} ${part}`).digest()))
  return [bytes.subarray(0, 16), bytes.subarray(16, 116)]
}

function bee (core) {
  return new Hyperbee(core, { keyEncoding: 'binary', valueEncoding: 'binary' })
}

/** Gives a reader that knows no more than the key and the length, and counts what it causes. */
async function reader (core) {
  const copy = new Hypercore(RAM, core.key)
  await copy.ready()
  const [near, far] = [copy.replicate(true), core.replicate(false)]
  // What has crossed the link so often before it arrived: that is how long it takes if work takes no time.
  const traffic = { bytes: 0, near: 0, far: 0 }
  const carry = (from, to, here, there) => {
    from.on('data', (data) => {
      traffic.bytes += data.length
      const crossings = traffic[here] + 1
      setTimeout(() => {
        traffic[there] = Math.max(traffic[there], crossings)
        to.write(data)
      }, LATENCY)
    })
    from.on('error', () => {})
  }
  carry(near, far, 'near', 'far')
  carry(far, near, 'far', 'near')
  const done = copy.findingPeers()
  setTimeout(done, 20 * LATENCY)
  await copy.update({ wait: true })
  // What connecting has still under way is none of the question's.
  await new Promise((resolve) => setTimeout(resolve, 20 * LATENCY))
  const end = async () => {
    near.destroy()
    far.destroy()
    await copy.close()
  }
  return { bee: bee(copy), traffic, end }
}

async function measure (core, row, ask) {
  const { bee, traffic, end } = await reader(core)
  const [begin, before] = [performance.now(), traffic.bytes]
  traffic.near = traffic.far = 0
  const [found, answer] = await ask(bee)
  const [ms, trips] = [performance.now() - begin, traffic.near / 2]
  // Acknowledgements that are still under way are not waited for, and not counted.
  const bytes = traffic.bytes - before
  await end()
  console.log(JSON.stringify({ row, 'round trips': trips, ms: Math.round(ms), bytes, found, answer }))
}

const core = new Hypercore(RAM)
await core.ready()
const all = bee(core)
const sorted = Array.from({ length: pairs }, (_, number) => pair(number)).sort((a, b) => Buffer.compare(a[0], b[0]))
const batch = all.batch()
for (const [key, value] of sorted) await batch.put(key, value)
await batch.flush()

const middle = sorted.length >> 1
await measure(core, `hyperbee: one key of ${pairs}, cold`, async (bee) => {
  const node = await bee.get(sorted[middle][0])
  if (!node.value.equals(sorted[middle][1])) throw new Error('another value')
  return [1, 116]
})
await measure(core, `hyperbee: a range of ${range} of ${pairs}, cold`, async (bee) => {
  let found = 0
  for await (const node of bee.createReadStream({ gte: sorted[middle][0], lt: sorted[middle + range][0] })) {
    if (!node.value.equals(sorted[middle + found][1])) throw new Error('another value')
    found += 1
  }
  if (found !== range) throw new Error(`${found} pairs`)
  return [found, found * 116]
})
process.exit(0)
