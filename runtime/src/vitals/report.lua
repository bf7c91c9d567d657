#!lua flags=allow-oom
-- Keeps what a worker tells of its pipelines, one hash for each job and connection of a unit. They end by themselves.
-- KEYS: for each hash the hash, and the set of the connections of which its stream has one.
-- ARGV: the fence of the worker; for how many milliseconds they are kept; then for each hash the connection, how many
-- words follow that set fields, those words (field, value), how many words add to fields, and those.
-- Gives 0 where a later owner of the unit has told of it.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local at = 3
local function words()
  local count = tonumber(ARGV[at])
  local found = {unpack(ARGV, at + 1, at + count)}
  at = at + 1 + count
  return found
end
for i = 1, #KEYS, 2 do
  local key, connection = KEYS[i], ARGV[at]
  at = at + 1
  local set, add = words(), words()
  if (tonumber(redis.call('HGET', key, 'fence')) or 0) > tonumber(ARGV[1]) then
    return 0
  end
  redis.call('HSET', key, 'fence', ARGV[1], 'at', now, unpack(set))
  for j = 1, #add, 2 do
    redis.call('HINCRBY', key, add[j], add[j + 1])
  end
  redis.call('SADD', KEYS[i + 1], connection)
  redis.call('PEXPIRE', key, ARGV[2])
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[2])
end
return 1
