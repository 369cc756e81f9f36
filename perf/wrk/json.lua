-- One small chat request over and over; every answer is checked. Usable against any deployment:
--   BUSBAR_TOKEN=… BUSBAR_MODEL=… wrk -t1 -c8 -d10s --latency -s perf/wrk/json.lua http://127.0.0.1:8080
-- With the default model the body has 86 bytes. See chat.lua for the environment and the summary line. More of it:
-- BUSBAR_PROMPT_BYTES (a prompt of so many bytes), BUSBAR_IMAGE_BYTES (a picture beside the prompt, so many bytes before
-- base64), BUSBAR_REPLY_BYTES (asks the upstream of `perf` for a longer answer; others ignore it).
local here = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local chat = dofile(here .. "chat.lua")

local body = string.format(
  '{"model":"%s","messages":[{"role":"user","content":"Say hello to the new day!!"}]}', chat.model())

local function bytes_of(name)
  return tonumber(os.getenv(name) or "") or 0
end

local function long_text(size)
  local line = 'Say \\"hello\\" to the new day!!\\n'
  local text = string.rep(line, math.floor(size / #line))
  return text .. string.rep(".", size - #text)
end

local function insert(text, at, more)
  return string.sub(text, 1, at) .. more .. string.sub(text, at + 1)
end

local prompt, image, reply = bytes_of("BUSBAR_PROMPT_BYTES"), bytes_of("BUSBAR_IMAGE_BYTES"), bytes_of("BUSBAR_REPLY_BYTES")
local first, last = string.find(body, '"Say hello to the new day!!"', 1, true)
if prompt > 0 then
  body = string.sub(body, 1, first) .. long_text(prompt) .. string.sub(body, last)
elseif image > 0 then
  local picture = '{"type":"image_url","image_url":{"url":"data:image/png;base64,' .. string.rep("A", image * 4 / 3) .. '"}}'
  local text = '{"type":"text","text":' .. string.sub(body, first, last) .. '}'
  body = string.sub(body, 1, first - 1) .. "[" .. text .. "," .. picture .. "]" .. string.sub(body, last + 1)
end
if reply > 0 then
  body = insert(body, #body - 1, ',"user":"perf-reply=' .. reply .. '"')
end

chat.install(body, function(reply)
  return string.find(reply, '"choices"', 1, true) ~= nil
end)
