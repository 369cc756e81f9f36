-- One small chat request over and over; every answer is checked. Usable against any deployment:
--   BUSBAR_TOKEN=… BUSBAR_MODEL=… wrk -t1 -c8 -d10s --latency -s perf/wrk/json.lua http://127.0.0.1:8080
-- With the default model the body has 86 bytes. See chat.lua for the environment and the summary line.
local here = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local chat = dofile(here .. "chat.lua")

local body = string.format(
  '{"model":"%s","messages":[{"role":"user","content":"Say hello to the new day!!"}]}', chat.model())

chat.install(body, function(reply)
  return string.find(reply, '"choices"', 1, true) ~= nil
end)
