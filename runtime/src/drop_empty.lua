#!lua
-- Takes away the streams of a tag that nobody appends to any more, and what stands beside them, if all are empty.
-- KEYS: for each stream, the stream and what stands beside it. ARGV: how many keys each has.
local each = tonumber(ARGV[1])
for at = 1, #KEYS, each do
  if redis.call('XLEN', KEYS[at]) > 0 then
    return 0
  end
end
return redis.call('DEL', unpack(KEYS))
