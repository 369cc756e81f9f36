-- The request of json.lua with "stream":true; an answer counts only if it ends with [DONE]. Usable alone:
--   BUSBAR_TOKEN=… BUSBAR_MODEL=… wrk -t1 -c8 -d10s --latency -s perf/wrk/stream.lua http://127.0.0.1:8080
-- wrk counts a stream when it is complete, so its figures are whole streams per second and time to the last byte.
local here = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local chat = dofile(here .. "chat.lua")

local body = string.format(
  '{"model":"%s","messages":[{"role":"user","content":"Say hello to the new day!!"}],"stream":true}', chat.model())

chat.install(body, function(reply)
  return string.sub(reply, -14) == "data: [DONE]\n\n"
end)
