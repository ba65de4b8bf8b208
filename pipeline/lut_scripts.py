"""What Redis does with a partition of the look-up table in one step: scripts in Lua."""

import hashlib

from pipeline.buckets import RECORD_BYTES
from pipeline.postings import COMMON

# Every script: KEYS[1] is the partition's state, KEYS[2] its lock, ARGV[1] the state's buckets and generation that the
# caller knows. Returns {1, state} when done, {0, state} when the state is another or the partition is locked.
_STATE = """
local state = redis.call('GET', KEYS[1]) or '4 0 0 0'
local buckets, count, generation, changes = string.match(state, '^(%d+) (%d+) (%d+) (%d+)$')
if not buckets then return redis.error_reply('ERR ' .. KEYS[1] .. ' is damaged') end
if buckets .. ' ' .. generation ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then return {0, state} end
local function bucket(key)
  local data = redis.call('GET', key) or ''
  if #data % RECORD ~= 0 then error(key .. ' is damaged') end
  return data
end
local function put(key, data)
  if #data == 0 then redis.call('DEL', key) else redis.call('SET', key, data) end
end
local function done(buckets, count)
  count = math.max(count, 0)
  if count == 0 and generation == '0' then
    redis.call('DEL', KEYS[1])
    return {1, '4 0 0 0'}
  end
  state = string.format('%d %d %d %d', buckets, count, generation, changes + 1)
  redis.call('SET', KEYS[1], state)
  return {1, state}
end
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: buckets. ARGV: the records to add to each, no two alike; those that are there already are left out.
_ADD = """
local function suffix(data, at) return string.sub(data, at, at + 1) .. string.sub(data, at + 9, at + 9) end
local function rare(old, new)
  local seen, kept = {}, {}
  for at = 1, #old, RECORD do
    local code = suffix(old, at)
    seen[code] = (seen[code] or 0) + 1
  end
  for at = 1, #new, RECORD do
    local code = suffix(new, at)
    seen[code] = (seen[code] or 0) + 1
    if seen[code] <= COMMON then kept[#kept + 1] = string.sub(new, at, at + RECORD - 1) end
  end
  return table.concat(kept)
end
local function holds(data, record)
  local at = string.find(data, record, 1, true)
  while at and at % RECORD ~= 1 do at = string.find(data, record, at + 1, true) end
  return at
end
local function fresh(old, new)
  local kept = {}
  for at = 1, #new, RECORD do
    local record = string.sub(new, at, at + RECORD - 1)
    if not holds(old, record) then kept[#kept + 1] = record end
  end
  return table.concat(kept)
end
for i = 3, #KEYS do
  local old = bucket(KEYS[i])
  local new = fresh(old, ARGV[i - 1])
  if #old + #new > RECORD * COMMON then new = rare(old, new) end
  if #new > 0 then redis.call('SET', KEYS[i], old .. new) end
  count = count + #new / RECORD
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES)).replace("COMMON", str(COMMON))

# KEYS: buckets. ARGV[2]: the video's number as 4 bytes, in the place that `RECORD` gives it.
_REMOVE = """
for i = 3, #KEYS do
  local data, kept = bucket(KEYS[i]), {}
  if string.find(data, ARGV[2], 1, true) then
    for at = 1, #data, RECORD do
      if string.sub(data, at + 2, at + 5) ~= ARGV[2] then kept[#kept + 1] = string.sub(data, at, at + RECORD - 1) end
    end
    if #kept * RECORD < #data then put(KEYS[i], table.concat(kept)) end
    count = count - (#data / RECORD - #kept)
  end
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: buckets. ARGV: the records to take out of each.
_DISCARD = """
for i = 3, #KEYS do
  local data, gone, kept = bucket(KEYS[i]), {}, {}
  for at = 1, #ARGV[i - 1], RECORD do gone[string.sub(ARGV[i - 1], at, at + RECORD - 1)] = true end
  for at = 1, #data, RECORD do
    local record = string.sub(data, at, at + RECORD - 1)
    if not gone[record] then kept[#kept + 1] = record end
  end
  if #kept * RECORD < #data then put(KEYS[i], table.concat(kept)) end
  count = count - (#data / RECORD - #kept)
end
return done(buckets, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: bucket, its halves. ARGV: place of the byte in a record, divisor that brings the bit to its end.
_SPLIT = """
local data, halves = bucket(KEYS[3]), {{}, {}}
local place, divisor = tonumber(ARGV[2]) + 1, tonumber(ARGV[3])
for at = 0, #data - 1, RECORD do
  local half = halves[math.floor(string.byte(data, at + place) / divisor) % 2 + 1]
  half[#half + 1] = string.sub(data, at + 1, at + RECORD)
end
redis.call('DEL', KEYS[3])
put(KEYS[4], table.concat(halves[1]))
put(KEYS[5], table.concat(halves[2]))
return done(buckets + 1, count)
""".replace("RECORD", str(RECORD_BYTES))

# KEYS: state. ARGV: the state that must be there, the new one. Returns whether it was.
EXCHANGE = """
if (redis.call('GET', KEYS[1]) or '4 0 0 0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

# ARGV: how many postings the state says, and how many there are.
_RECOUNT = """
if count ~= ARGV[2] then return {0, state} end
return done(buckets, tonumber(ARGV[3]))
"""


class Script:
    """A script, by its text and by the name that Redis gives it."""

    def __init__(self, body: str) -> None:
        self.text = _STATE + body
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324  how Redis names a script


ADD, REMOVE, DISCARD = Script(_ADD), Script(_REMOVE), Script(_DISCARD)
SPLIT, RECOUNT = Script(_SPLIT), Script(_RECOUNT)
