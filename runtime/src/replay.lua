#!lua
-- Puts a dead letter back into its stream, once however often it is asked for, and takes it out of the queue.
-- KEYS: the queue; the stream.
-- ARGV: the letter's id; the change itself as a record, or ''; the database and the key; a record that says "read the
-- key now", or ''; one that says that the key is gone, for where it is
-- or holds nothing that becomes rows.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
    return 0
end
-- What can fail comes before anything is written.
local there = false
if ARGV[5] ~= '' then
    redis.call('SELECT', ARGV[3])
    local kind = redis.call('TYPE', ARGV[4]).ok
    redis.call('SELECT', 0)
    there = kind == 'hash' or kind == 'set' or kind == 'zset' or kind == 'ReJSON-RL'
end
if ARGV[2] ~= '' then
    redis.call('XADD', KEYS[2], '*', 'r', ARGV[2])
end
if ARGV[5] ~= '' then
    redis.call('XADD', KEYS[2], '*', 'r', there and ARGV[5] or ARGV[6])
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
