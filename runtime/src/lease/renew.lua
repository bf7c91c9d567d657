#!lua flags=allow-oom
-- Renews a lease; 0 where another worker has it. Where it was lost with its database, it is put back: a worker that had
-- taken it since would stand there.
-- KEYS: the lease. ARGV: the worker, its fence, for how many milliseconds.
local kept = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if (kept[1] or kept[2]) and (kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', ARGV[2],
  'ends', string.format('%.0f', now + ARGV[3]), 'lasts', ARGV[3])
redis.call('HSETNX', KEYS[1], 'since', string.format('%.0f', now))
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return 1
