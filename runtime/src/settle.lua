#!lua flags=allow-oom
-- After a commit: notes how far a connection has applied a stream, shows it in its consumer group, and trims what
-- every connection has applied. Ids compare only within one epoch, so nothing is trimmed while the epochs differ.
-- KEYS: the stream; the hash of positions; the set of positions buried before the commit.
-- ARGV: the connection, the epoch, milliseconds and number of the position, then all connections.
local stream, positions, buried = KEYS[1], KEYS[2], KEYS[3]
local connection, epoch, ms, seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local function behind(a_ms, a_seq, b_ms, b_seq)
  -- Numbers of 64 bits do not fit Lua's; as text of one length they compare.
  local function wide(digits) return string.rep('0', 20 - #digits) .. digits end
  return wide(a_ms) .. wide(a_seq) > wide(b_ms) .. wide(b_seq)
end
-- A worker that stood still after its commit may come late: what another noted meanwhile is not taken back.
local noted_epoch, noted_ms, noted_seq = string.match(redis.call('HGET', positions, connection) or '', '^(%S+) (%d+) (%d+)$')
if noted_epoch == epoch and behind(noted_ms, noted_seq, ms, seq) then
  ms, seq = noted_ms, noted_seq
end
redis.call('HSET', positions, connection, epoch .. ' ' .. ms .. ' ' .. seq)
local set = redis.pcall('XGROUP', 'SETID', stream, connection, ms .. '-' .. seq)
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
for at = 5, #ARGV do
  local known = redis.call('HGET', positions, ARGV[at])
  local its_epoch, its_ms, its_seq = string.match(known or '', '^(%S+) (%d+) (%d+)$')
  if its_epoch ~= epoch then
    return 0
  end
  if behind(ms, seq, its_ms, its_seq) then
    ms, seq = its_ms, its_seq
  end
end
redis.call('XTRIM', stream, 'MINID', ms .. '-' .. seq)
return redis.call('XDEL', stream, ms .. '-' .. seq)
