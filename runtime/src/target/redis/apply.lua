#!lua
-- Applies the commands of a batch and moves the checkpoint, in one atomic step. Its flags let no full or stopping
-- server begin it, so that what fails within it is a command that this server refuses for good.
--
-- ARGV: the fence of this worker; the number of streams, the checkpoint of each;
--       the number of steps, each as stream (from 1), epoch, position before ('' for none), position after,
--       1 where this is the stream's last epoch;
--       for each command its entry as `stream:epoch:position`, the number of its words, its words.
-- Gives 'overtaken', 'denied' with what this user may not do, or what was refused as entry and reason in turn. What is refused also stays in the checkpoint
-- until it is in the dead-letter queue.
local at = 0
local function take()
    at = at + 1
    return ARGV[at]
end

local fence = tonumber(take())
local checkpoints = {}
for stream = 1, tonumber(take()) do
    checkpoints[stream] = take()
end
local steps = {}
for step = 1, tonumber(take()) do
    local checkpoint, epoch, before, after = checkpoints[tonumber(take())], take(), take(), take()
    local is_last = take() == '1'
    -- Without a fence the checkpoint was lost since it was claimed, which is done anew.
    if (tonumber(redis.call('HGET', checkpoint, 'fence')) or math.huge) > fence then
        return {'overtaken'}
    end
    if (redis.call('HGET', checkpoint, epoch) or '') ~= before then
        return {'overtaken'}
    end
    steps[step] = {checkpoint, epoch, after, is_last}
end
-- Nothing is written before it is known that all may be.
for _, checkpoint in ipairs(checkpoints) do
    if not redis.acl_check_cmd('HSET', checkpoint, 'x', 'x') then
        return {'denied', 'HSET', checkpoint}
    end
end
local first = at
while at < #ARGV do
    take()
    local words = tonumber(take())
    -- A command that this server does not know is refused below.
    local known, may = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, at + words))
    if known and not may then
        return {'denied', ARGV[at + 1], ARGV[at + 2]}
    end
    at = at + words
end
at = first
local refused = {}
local last
while at < #ARGV do
    local entry, words = take(), tonumber(take())
    -- The other commands of a refused entry have no meaning without the first.
    if entry ~= last then
        local reply = redis.pcall(unpack(ARGV, at + 1, at + words))
        if type(reply) == 'table' and reply.err then
            last = entry
            local stream, place = string.match(entry, '^(%d+):(.*)$')
            redis.call('HSET', checkpoints[tonumber(stream)], 'refused:' .. place, reply.err)
            refused[#refused + 1] = entry
            refused[#refused + 1] = reply.err
        end
    end
    at = at + words
end
for _, step in ipairs(steps) do
    redis.call('HSET', step[1], step[2], step[3])
    if step[4] then
        redis.call('HSET', step[1], 'current', step[2])
    end
end
return refused
