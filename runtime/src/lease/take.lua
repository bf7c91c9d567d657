#!lua flags=allow-oom
-- Takes the lease of a unit where it is free, or tells who has it. Each owner draws a greater fence than the one before.
-- KEYS: the lease.
-- ARGV: the worker; for how many milliseconds; a fence that is known elsewhere; 1 if it is to be taken, 0 to look;
--       the owner and the beat that were seen for so long that their worker counts as gone, or '' and ''.
-- Gives the fence (0 where it was not taken), and the owner ('' for none), beat and milliseconds of whoever has it.
local kept = redis.call('HMGET', KEYS[1], 'owner', 'beat', 'ends', 'lasts', 'fence')
local owner, beat, ends, lasts = kept[1] or '', kept[2] or '', tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The clock of the server tells of what ended long ago; where it was set back, those who wait have seen the beat stand.
if ends <= now or owner == ARGV[1] or (owner == ARGV[5] and beat == ARGV[6]) then
  owner = ''
end
if owner ~= '' or ARGV[4] ~= '1' then
  return {'0', owner, beat, tostring(lasts)}
end
local fence = string.format('%.0f', math.max(tonumber(kept[5]) or 0, tonumber(ARGV[3])) + 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', fence, 'beat', 1,
  'ends', string.format('%.0f', now + ARGV[2]), 'lasts', ARGV[2],
  'since', string.format('%.0f', now))
return {fence, '', '', ARGV[2]}
