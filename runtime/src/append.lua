#!lua flags=allow-oom
-- Appends records to a stream: also where Redis is full, since whoever appends lets go of as much.
-- KEYS: the stream. ARGV: each record with its order, or ''.
for at = 1, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('XADD', KEYS[1], '*', 'r', ARGV[at])
  else
    redis.call('XADD', KEYS[1], '*', 'r', ARGV[at], 'o', ARGV[at + 1])
  end
end
return redis.status_reply('OK')
