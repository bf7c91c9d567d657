#!lua flags=allow-oom
-- Lets go of a lease. The fence stays for ever. KEYS: the lease. ARGV: the worker, its fence.
local kept = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if kept[1] ~= ARGV[1] or kept[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'owner', '', 'ends', 0)
return 1
