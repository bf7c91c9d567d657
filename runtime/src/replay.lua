#!lua
-- Puts a dead letter back into its stream, once however often it is asked for, and takes it out of the queue.
-- KEYS: the queue; the stream.
-- ARGV: the letter's id; the change itself as a record, or ''; the database and the key; a record that says "read the
-- key now", or ''; one that says that the key is gone, for where it is or holds nothing that becomes rows, or '' where the
-- key may not be looked at; the order of both, or ''.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
local present = ARGV[5]
-- What can fail comes before anything is written.
if present ~= '' and ARGV[6] ~= '' then
  redis.call('SELECT', ARGV[3])
  local kind = redis.call('TYPE', ARGV[4]).ok
  redis.call('SELECT', 0)
  if kind ~= 'hash' and kind ~= 'set' and kind ~= 'zset' and kind ~= 'ReJSON-RL' then
    present = ARGV[6]
  end
end
local function append(record)
  if record == '' then
    return
  elseif ARGV[7] == '' then
    redis.call('XADD', KEYS[2], '*', 'r', record)
  else
    redis.call('XADD', KEYS[2], '*', 'r', record, 'o', ARGV[7])
  end
end
append(ARGV[2])
append(present)
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
