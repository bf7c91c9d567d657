#!lua flags=allow-oom
-- Appends records to a dead-letter queue, each once however often its batch is tried, and by whomever.
-- KEYS: the queue; the set of what was buried and not committed yet; the hash of applied positions.
-- ARGV: the most entries, the connection, then epoch, milliseconds, number, job, key, code, reason, statement and
-- record of each. Gives how many older entries had to go.
local applied = redis.call('HGET', KEYS[3], ARGV[2])
local epoch, ms, seq = string.match(applied or '', '^(%S+) (%d+) (%d+)$')
-- Numbers of 64 bits do not fit Lua's; as text of one length they compare.
local function wide(digits) return string.rep('0', 20 - #digits) .. digits end
local function is_applied(its_epoch, its_ms, its_seq)
  return its_epoch == epoch and wide(its_ms) .. wide(its_seq) <= wide(ms) .. wide(seq)
end
local entries = redis.call('XLEN', KEYS[1])
for at = 3, #ARGV, 9 do
  local position = ARGV[at + 1] .. '-' .. ARGV[at + 2]
  if not is_applied(ARGV[at], ARGV[at + 1], ARGV[at + 2])
    and redis.call('SISMEMBER', KEYS[2], ARGV[at] .. ' ' .. position) == 0 then
    entries = entries + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'connection', ARGV[2], 'position', position,
      'job', ARGV[at + 3], 'key', ARGV[at + 4], 'code', ARGV[at + 5], 'reason', ARGV[at + 6],
      'statement', ARGV[at + 7], 'record', ARGV[at + 8])
    -- Last: where the queue cannot be written to, the script ends above and nothing counts as buried.
    redis.call('SADD', KEYS[2], ARGV[at] .. ' ' .. position)
  end
end
-- What an epoch that ended left here goes by itself.
redis.call('EXPIRE', KEYS[2], 86400)
return entries - redis.call('XLEN', KEYS[1])
