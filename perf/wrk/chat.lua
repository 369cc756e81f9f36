-- What json.lua and stream.lua share: the request, the check of every answer, and one summary line for machines.
-- Environment: BUSBAR_TOKEN (bearer token), BUSBAR_MODEL, BUSBAR_EXPECT (the exact body every answer must have),
-- BUSBAR_FIELDS (more lines for the head of each request).
local chat = {}
local threads = {}

-- Globals on purpose: wrk lets the main state read a thread's globals, and nothing else of it.
answers, failures, first_failure = 0, 0, ""

function chat.model()
  return os.getenv("BUSBAR_MODEL") or "gpt-4o"
end

local function is_expected(body, looks_right)
  local expected = os.getenv("BUSBAR_EXPECT")
  if expected and expected ~= "" then
    return body == expected
  end
  return looks_right(body)
end

-- Sets up wrk to send `body` and to count every answer that is not 200 or not what it should be.
function chat.install(body, looks_right)
  wrk.method = "POST"
  wrk.path = "/v1/chat/completions"
  wrk.body = body
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. (os.getenv("BUSBAR_TOKEN") or "client-token")
  for name, value in string.gmatch(os.getenv("BUSBAR_FIELDS") or "", "([^:\r\n]+): *([^\r\n]*)") do
    wrk.headers[name] = value
  end

  function setup(thread)
    table.insert(threads, thread)
  end

  function response(status, headers, reply)
    answers = answers + 1
    if status == 200 and is_expected(reply, looks_right) then
      return
    end
    failures = failures + 1
    if failures == 1 then
      first_failure = status .. " " .. string.sub(string.gsub(reply, "[^%w%p ]", " "), 1, 120)
    end
  end

  function done(summary, latency, requests)
    local failed, first = 0, ""
    for _, thread in ipairs(threads) do
      failed = failed + thread:get("failures")
      if first == "" then
        first = thread:get("first_failure")
      end
    end
    local errors = summary.errors
    io.write(string.format(
      "PERF requests=%d duration_us=%d bytes=%d failures=%d connect=%d read=%d write=%d timeout=%d p50_us=%d p99_us=%d first_failure=%s\n",
      summary.requests, summary.duration, summary.bytes, failed, errors.connect, errors.read, errors.write,
      errors.timeout, latency:percentile(50), latency:percentile(99), first))
  end
end

return chat
