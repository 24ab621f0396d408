// The decisions in Lua: the same as in decide.ts and operations.ts, which the contract suite compares them with.
//
// A script runs alone in the server, so all keys of a call change in one step. Each takes the time of the server, unless
// its first argument is one. Values are text, fields apart by tabs, the version first; times in milliseconds since 1970.

import { createHash } from 'node:crypto'
import { CLOCK_TOLERANCE } from '../decide.ts'

/** A script and the digest the server knows it by. */
export interface Script {
  readonly text: string
  readonly sha: string
}

function script(text: string): Script {
  const whole = PRELUDE + text
  return { text: whole, sha: createHash('sha1').update(whole).digest('hex') }
}

const PRELUDE = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local latest = now + ${CLOCK_TOLERANCE}
local function text(number) return string.format('%.0f', number) end
local function number(value) return tonumber(string.match(value or '', '^%d+$') or '') or 0 end
local function put(key, value, expires)
  redis.call('SET', key, value, 'PX', text(math.max(1, expires - now + 1)))
end
`

const RECORDS = `
local count, keys, delay, window, life, passes, apart, restart =
  string.match(ARGV[2], '^' .. string.rep('(%d+) ', 7) .. '(%d+)$')
count, keys, delay, window, life = tonumber(count), tonumber(keys), tonumber(delay), tonumber(window), tonumber(life)
passes, apart, restart = tonumber(passes), tonumber(apart), tonumber(restart)
local domain, reason = ARGV[3], ARGV[4]
local function record_key(client) return KEYS[(client - 1) * (count + 1) + 1] end
local function triplet_key(client, i) return KEYS[(client - 1) * (count + 1) + 1 + i] end
local function may_allow(client) return passes > 0 and ARGV[3 + 2 * client] == '1' end
local function shown(client) return ARGV[4 + 2 * client] end

local function read_triplet(key)
  local value = redis.call('GET', key)
  if not value then return nil end
  local first, last, expires, waited, attempts, counted, note =
    string.match(value, '^1\\t(%d+)\\t(%d+)\\t(%d+)\\t(%d*)\\t(%d+)\\t([01])(\\t.*)$')
  if not first then return nil end
  local entry = {
    first = tonumber(first), last = tonumber(last), expires = tonumber(expires), waited = tonumber(waited),
    attempts = tonumber(attempts), counted = counted, note = note,
  }
  if now > entry.expires or entry.last > latest then return nil end
  return entry
end
local function write_triplet(key, entry)
  local waited = entry.waited and text(entry.waited) or ''
  put(key, table.concat({
    '1', text(entry.first), text(entry.last), text(entry.expires), waited, text(entry.attempts), entry.counted,
  }, '\\t') .. entry.note, entry.expires)
end
local function read_client(key)
  local value = redis.call('GET', key)
  if not value then return nil end
  local passed, counted, last, expires = string.match(value, '^1\\t(%d+)\\t(%d+)\\t(%d+)\\t(%d+)\\t')
  if not passed then return nil end
  local record = {
    passes = tonumber(passed), counted = tonumber(counted), last = tonumber(last), expires = tonumber(expires),
  }
  if now > record.expires or record.last > latest then return nil end
  return record
end
local function write_client(key, record, client)
  put(key, table.concat({
    '1', text(record.passes), text(record.counted), text(record.last), text(record.expires), client,
  }, '\\t'), record.expires)
end
`

/**
 * KEYS: for each client its record, then its triplets. ARGV: time; the numbers of triplets and clients and the rules
 * (delay, window, life, passes or 0 for never, apart, restartWithin), apart by spaces; sender domain; reason; then for
 * each client 1 or 0 for autoAllow, and its text.
 * Answers with the number of the client that is allowed, or 0, then verdict, wait, first and attempts for each triplet.
 */
export const GREYLIST: Script = script(`${RECORDS}
for client = 1, keys do
  local record = may_allow(client) and read_client(record_key(client))
  if record and record.passes >= passes then
    record.last = math.max(record.last, now)
    record.expires = record.last + life
    write_client(record_key(client), record, shown(client))
    return {client, now}
  end
end
local answer = {0}
for i = 1, count do
  local own, best = {}, nil
  for client = 1, keys do
    local entry = read_triplet(triplet_key(client, i))
    own[client] = entry
    if entry then
      if not best then best = entry
      elseif entry.waited then
        if not best.waited or entry.last > best.last then best = entry end
      elseif not best.waited and entry.first < best.first then best = entry end
    end
  end
  local verdict, wait, entry = 'new', delay, nil
  if best then
    entry = {
      first = best.first, last = math.max(best.last, now), expires = best.expires, waited = best.waited,
      attempts = best.attempts + 1,
    }
    local age = math.max(0, now - best.first)
    if best.waited then
      verdict, wait, entry.expires = 'known', 0, entry.last + life
    elseif age < restart then
      verdict, entry = 'early', {first = now, last = now, expires = now + window, attempts = entry.attempts}
    elseif age < delay then
      verdict, wait = 'early', best.first + delay - now
    else
      verdict, wait, entry.waited, entry.expires = 'pass', 0, age, entry.last + life
    end
  else
    entry = {first = now, last = now, expires = now + window, attempts = 1}
  end
  for client = 1, keys do
    entry.counted = own[client] and own[client].counted or '0'
    entry.note = '\\t' .. shown(client) .. '\\t' .. domain .. '\\t' .. reason
    write_triplet(triplet_key(client, i), entry)
  end
  for _, value in ipairs({verdict, wait, entry.first, entry.attempts}) do answer[#answer + 1] = value end
end
return answer
`)

/** KEYS and ARGV as for {@link GREYLIST}. Answers with 1 if the message counted for any client. */
export const ACCEPT: Script = script(`${RECORDS}
local counts = 0
for client = 1, keys do
  if may_allow(client) then
    local record = read_client(record_key(client))
    local next_record = {passes = 1, counted = now, last = now, expires = now + life}
    local may_count = true
    if record then
      may_count = record.passes < passes and now - record.counted >= apart
      next_record.passes = record.passes + 1
      next_record.last = math.max(record.last, now)
    end
    for i = 1, may_count and count or 0 do
      local key = triplet_key(client, i)
      local entry = read_triplet(key)
      if entry and entry.waited and entry.counted == '0' then
        entry.counted = '1'
        write_triplet(key, entry)
        write_client(record_key(client), next_record, shown(client))
        counts = 1
        break
      end
    end
  end
end
return counts
`)

/** ARGV: time, limit, per, cost. Answers with 1 or 0 for allowed, what remains, and the wait. */
export const HIT: Script = script(`
local limit, per, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local each = math.max(1, math.floor(per * 1000 / limit))
local burst, start = each * limit, now * 1000
local before = number(redis.call('GET', KEYS[1]))
if before > start + burst + ${CLOCK_TOLERANCE * 1000} then before = start end
before = math.max(before, start)
local over = before + each * math.max(cost, 1) - start - burst
local after = before
if over <= 0 and cost > 0 then
  after = before + each * cost
  put(KEYS[1], text(after), math.ceil(after / 1000))
end
local remaining = math.max(0, math.floor((start + burst - after) / each))
return {over <= 0 and 1 or 0, remaining, over <= 0 and 0 or math.ceil(over / 1000)}
`)

/** ARGV: time, life. */
export const KNOW: Script = script(`
local expires = now + tonumber(ARGV[2])
local before = number(redis.call('GET', KEYS[1]))
if expires > before then put(KEYS[1], text(expires), expires) end
return 0
`)

/** ARGV: time. Answers with 1 or 0 for each key. */
export const KNOWN: Script = script(`
local answer = {}
for i, key in ipairs(KEYS) do
  local expires = number(redis.call('GET', key))
  answer[i] = expires > now and 1 or 0
end
return answer
`)

/** ARGV: time, kind (t, a, k), last, expires, value, weight. Answers with 1 if the value was put. */
export const PUT: Script = script(`
local kind, last, expires, weight = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local value = redis.call('GET', KEYS[1]) or ''
if kind == 'k' then
  if expires <= math.max(number(value), now) then return 0 end
  put(KEYS[1], ARGV[5], expires)
  return 1
end
if now > expires or last > latest then return 0 end
local passes, before, ends
if kind == 't' then
  before, ends = string.match(value, '^1\\t%d+\\t(%d+)\\t(%d+)\\t%d*\\t%d+\\t[01]\\t')
else
  passes, before, ends = string.match(value, '^1\\t(%d+)\\t%d+\\t(%d+)\\t(%d+)\\t')
end
before, ends, passes = tonumber(before), tonumber(ends), tonumber(passes)
if before and now <= ends and before <= latest then
  if kind == 't' and (weight == 0 or last <= before) then return 0 end
  if kind == 'a' and (last < before or weight < passes or (last == before and weight == passes)) then return 0 end
end
put(KEYS[1], ARGV[5], expires)
return 1
`)

/** ARGV: time, then the value of each key. Removes the keys that still have that value; answers with their number. */
export const REMOVE: Script = script(`
local removed = 0
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[i + 1] then removed = removed + redis.call('UNLINK', key) end
end
return removed
`)
