#!lua flags=no-writes
-- Gives the type of a key and what it holds, at one moment. KEYS: the key. ARGV: its database.
redis.call('SELECT', ARGV[1])
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then
  return {kind, redis.call('HGETALL', KEYS[1])}
elseif kind == 'set' then
  return {kind, redis.call('SMEMBERS', KEYS[1])}
elseif kind == 'zset' then
  return {kind, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
elseif kind == 'ReJSON-RL' then
  return {kind, redis.call('JSON.GET', KEYS[1])}
end
return {kind}
