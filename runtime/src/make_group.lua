#!lua flags=allow-oom
-- Makes the consumer group whose lag XINFO GROUPS shows, unless it is there. KEYS: the stream. ARGV: the group.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, '^BUSYGROUP') then
  return made
end
return redis.status_reply('OK')
