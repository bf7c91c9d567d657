#!lua flags=allow-oom
-- After a commit: notes how far a connection has applied a stream, shows it in its consumer group, and trims what
-- every connection has applied. Ids compare only within one epoch, so nothing is trimmed while the epochs differ.
-- KEYS: the stream; the hash of positions; the set of positions buried before the commit.
-- ARGV: the connection, the epoch, milliseconds and number of the position; how many entries of the stream lead there
-- and the id of the first of them, where that is known; then all connections.
local stream, positions, buried = KEYS[1], KEYS[2], KEYS[3]
local connection, epoch, ms, seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count, first = tonumber(ARGV[5]), ARGV[6]
local function behind(a_ms, a_seq, b_ms, b_seq)
  -- Numbers of 64 bits do not fit Lua's; as text of one length they compare.
  local function wide(digits) return string.rep('0', 20 - #digits) .. digits end
  return wide(a_ms) .. wide(a_seq) > wide(b_ms) .. wide(b_seq)
end
-- A worker that stood still after its commit may come late: what another noted meanwhile is not taken back.
local noted_epoch, noted_ms, noted_seq = string.match(redis.call('HGET', positions, connection) or '', '^(%S+) (%d+) (%d+)$')
if noted_epoch == epoch and behind(noted_ms, noted_seq, ms, seq) then
  ms, seq, count = noted_ms, noted_seq, 0
end
redis.call('HSET', positions, connection, epoch .. ' ' .. ms .. ' ' .. seq)
-- What all connections have applied, if that is known.
local low_ms, low_seq = ms, seq
for at = 7, #ARGV do
  local known = redis.call('HGET', positions, ARGV[at])
  local its_epoch, its_ms, its_seq = string.match(known or '', '^(%S+) (%d+) (%d+)$')
  if its_epoch ~= epoch then
    low_ms = nil
    break
  end
  if behind(low_ms, low_seq, its_ms, its_seq) then
    low_ms, low_seq = its_ms, its_seq
  end
end
-- A reply of names and values.
local function fields(words)
  local all = {}
  for at = 1, #words, 2 do all[words[at]] = words[at + 1] end
  return all
end
-- How many entries were read up to the position, if that is known: then Redis shows the lag.
local function entries_read()
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, words in ipairs(groups.err and {} or groups) do
    local group = fields(words)
    if group.name == connection then
      local last, read = group['last-delivered-id'], group['entries-read']
      if not read and group.lag then
        read = fields(redis.call('XINFO', 'STREAM', stream))['entries-added'] - group.lag
      end
      if not read or last == ms .. '-' .. seq then return read end
      local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
      local first_ms, first_seq = string.match(first, '^(%d+)-(%d+)$')
      if count > 0 and behind(first_ms, first_seq, last_ms, last_seq)
        and #redis.call('XRANGE', stream, '(' .. last, '(' .. first, 'COUNT', 1) == 0 then
        return read + count
      end
    end
  end
end
-- Where nothing before the position is left, Redis counts by itself.
local read = (low_ms ~= ms or low_seq ~= seq) and entries_read()
local set = read and redis.pcall('XGROUP', 'SETID', stream, connection, ms .. '-' .. seq, 'ENTRIESREAD', read)
  or redis.pcall('XGROUP', 'SETID', stream, connection, ms .. '-' .. seq)
if set.err then
  redis.call('XGROUP', 'CREATE', stream, connection, ms .. '-' .. seq, 'MKSTREAM')
end
for _, member in ipairs(redis.call('SMEMBERS', buried)) do
  -- Those behind the position were buried by a larger batch that was not committed; they will come again.
  local its_epoch, its_ms, its_seq = string.match(member, '^(%S+) (%d+)-(%d+)$')
  if its_epoch == epoch and not behind(its_ms, its_seq, ms, seq) then
    redis.call('SREM', buried, member)
  end
end
if not low_ms then
  return 0
end
redis.call('XTRIM', stream, 'MINID', low_ms .. '-' .. low_seq)
return redis.call('XDEL', stream, low_ms .. '-' .. low_seq)
