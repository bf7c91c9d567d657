#!lua flags=no-writes
-- Tells all that is known of one stream: how long it is, who works it, how far each connection is behind, and what its
-- worker told of it.
-- KEYS: the stream; the hash of applied positions; the dead-letter queue; the note of a snapshot; the lease; the set of
-- connections that something was told of.
-- ARGV: what the key of a connection's report begins with; the most entries to count one by one; the most bytes of them.
-- Gives the time, entries, bytes, dead letters, whether a snapshot is under way, owner, end and beginning of the lease,
-- its fence, and for each connection: its name, entries behind, 1 if there may be more, the oldest id, its report.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local entries, bytes, last, first = 0, 0, nil, nil
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'length' then entries = info[i + 1] end
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'first-entry' and info[i + 1] then first = info[i + 1][1] end
  end
  local used = redis.pcall('MEMORY', 'USAGE', KEYS[1])
  bytes = type(used) == 'number' and used or 0
end
-- Numbers of 64 bits do not fit Lua's; as text of one length they compare.
local function wide(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end
local most = 0
if entries > 0 then
  most = math.max(1, math.min(tonumber(ARGV[2]), math.floor(tonumber(ARGV[3]) * entries / math.max(bytes, 1))))
end
local function behind(position)
  -- A stream that began anew has applied nothing.
  if not first or not position or wide(last) < wide(position) or wide(first) > wide(position) then
    return entries, 0, first or ''
  end
  local after = redis.call('XRANGE', KEYS[1], '(' .. position, '+', 'COUNT', most)
  if #after == 0 then return 0, 0, '' end
  local oldest = after[1][1]
  if #after < most then return #after, 0, oldest end
  local before = redis.call('XRANGE', KEYS[1], '-', position, 'COUNT', most)
  return entries - #before, #before < most and 0 or 1, oldest
end
local positions, names, is_known = {}, {}, {}
local applied = redis.call('HGETALL', KEYS[2])
for i = 1, #applied, 2 do
  local ms, seq = string.match(applied[i + 1], '^%S+ (%d+) (%d+)$')
  positions[applied[i]] = ms and (ms .. '-' .. seq)
end
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err then
  for _, group in ipairs(groups) do
    names[#names + 1] = group[2]
    is_known[group[2]] = true
  end
end
local function know(name)
  if not is_known[name] then names[#names + 1] = name end
  is_known[name] = true
end
for name in pairs(positions) do know(name) end
-- A flush takes the others with it.
for _, name in ipairs(redis.call('SMEMBERS', KEYS[6])) do know(name) end
table.sort(names)
local connections = {}
for _, name in ipairs(names) do
  local rows, is_more, oldest = behind(positions[name])
  -- In the slot of the stream, as its own keys are.
  connections[#connections + 1] = {name, rows, is_more, oldest, redis.call('HGETALL', ARGV[1] .. name)}
end
local lease = redis.call('HMGET', KEYS[5], 'owner', 'ends', 'since', 'fence')
local letters = redis.pcall('XLEN', KEYS[3])
return {now, entries, bytes, type(letters) == 'number' and letters or 0, redis.call('EXISTS', KEYS[4]),
  lease[1] or '', lease[2] or '0', lease[3] or '0', lease[4] or '0', connections}
