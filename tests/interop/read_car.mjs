// Reads a CAR file: recomputes the CID of every block, walks the tree from the root, and prints each pair
// as a line: key and value in hexadecimal digits, a space between them.
//
// Usage: node read_car.mjs FILE, in a directory that has the packages of package.json.
import { createReadStream } from 'node:fs'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { blake3 } from '@noble/hashes/blake3.js'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'

const BLAKE3 = 0x1e
const PART_BYTES = 8192
const FAN_OUT = 128

const blocks = new Map()
const reader = await CarReader.fromIterable(createReadStream(process.argv[2]))
for await (const { cid, bytes } of reader.blocks()) {
  const again = CID.createV1(dagCbor.code, create(BLAKE3, blake3(bytes)))
  if (!again.equals(cid)) throw new Error(`block ${cid} hashes to ${again}`)
  if (blocks.has(cid.toString())) throw new Error(`block ${cid} is there twice`)
  blocks.set(cid.toString(), dagCbor.decode(bytes))
}

const get = (cid) => {
  const block = blocks.get(cid.toString())
  if (block === undefined) throw new Error(`block ${cid} is missing`)
  return block
}

const longValue = (cid, length) => {
  let depth = 0
  for (let most = PART_BYTES; most < length; most *= FAN_OUT) depth += 1
  let row = [get(cid)]
  for (; depth > 0; depth -= 1) row = row.flat().map(get)
  const bytes = Buffer.concat(row)
  if (bytes.length !== length) throw new Error(`the value ${cid} has ${bytes.length} bytes, not ${length}`)
  return bytes
}

const lines = []
const walk = (cid) => {
  const [level, keys, items, counts] = get(cid)
  if (level > 0) {
    const found = items.map(walk)
    found.forEach((count, i) => {
      if (BigInt(counts[i]) !== BigInt(count)) throw new Error(`a count of ${cid} is wrong`)
    })
    return found.reduce((sum, count) => sum + count, 0)
  }
  keys.forEach((key, i) => {
    const value = items[i] instanceof Uint8Array ? items[i] : longValue(items[i][1], items[i][0])
    lines.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}\n`)
  })
  return keys.length
}

const roots = await reader.getRoots()
if (roots.length !== 1) throw new Error(`${roots.length} roots`)
walk(roots[0])
process.stdout.write(lines.join(''))
