-- Appends records to a dead-letter queue, each once however often its batch is tried.
-- KEYS: the queue; the set of positions buried since the last commit. ARGV: the most entries, the connection, then
-- position, job, code, reason, statement and record of each.
for at = 3, #ARGV, 6 do
  if redis.call('SADD', KEYS[2], ARGV[at]) == 1 then
    redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'connection', ARGV[2], 'position', ARGV[at],
      'job', ARGV[at + 1], 'code', ARGV[at + 2], 'reason', ARGV[at + 3], 'statement', ARGV[at + 4],
      'record', ARGV[at + 5])
  end
end
return redis.status_reply('OK')
