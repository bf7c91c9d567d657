#!lua flags=no-writes
-- Gives the type of a key and what it holds, at one moment; in the place of what is too large, how many bytes it has.
-- KEYS: the key. ARGV: its database, the most bytes.
redis.call('SELECT', ARGV[1])
local kind = redis.call('TYPE', KEYS[1]).ok
local most = tonumber(ARGV[2])
if kind == 'ReJSON-RL' then
  local text = redis.call('JSON.GET', KEYS[1])
  return {kind, text and #text > most and #text or text}
end
local reads = {hash = {'HGETALL', KEYS[1]}, set = {'SMEMBERS', KEYS[1]}, zset = {'ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'}}
if reads[kind] == nil then
  return {kind}
end
-- An estimate from a few of its members: to look at all would take as long as to read them.
local bytes = redis.pcall('MEMORY', 'USAGE', KEYS[1])
if type(bytes) == 'number' and bytes > most then
  return {kind, bytes}
end
return {kind, redis.call(unpack(reads[kind]))}
