-- Appends records to a dead-letter queue, each once however often its batch is tried.
-- KEYS: the queue; the set of what was buried and not committed yet.
-- ARGV: the most entries, the connection, then epoch, position, job, code, reason, statement and record of each.
for at = 3, #ARGV, 7 do
  if redis.call('SADD', KEYS[2], ARGV[at] .. ' ' .. ARGV[at + 1]) == 1 then
    redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'connection', ARGV[2], 'position', ARGV[at + 1],
      'job', ARGV[at + 2], 'code', ARGV[at + 3], 'reason', ARGV[at + 4], 'statement', ARGV[at + 5],
      'record', ARGV[at + 6])
  end
end
-- What an epoch that ended left here goes by itself.
redis.call('EXPIRE', KEYS[2], 86400)
return redis.status_reply('OK')
