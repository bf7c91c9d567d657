#!lua
-- Writes the fence of a worker to the checkpoints of its streams, so that no earlier owner applies anything from here on.
-- KEYS: the checkpoints. ARGV: the fence; 1 where this worker may have written it before.
-- Gives 0, or the fence of a later owner.
local own, is_own = tonumber(ARGV[1]), ARGV[2] == '1'
for _, checkpoint in ipairs(KEYS) do
    local known = tonumber(redis.call('HGET', checkpoint, 'fence') or 0)
    if known > own or (known == own and not is_own) then
        return string.format('%.0f', known)
    end
end
for _, checkpoint in ipairs(KEYS) do
    redis.call('HSET', checkpoint, 'fence', ARGV[1])
end
return '0'
