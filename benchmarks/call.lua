-- wrk: one numbered tools/call per request, every answer looked at.
--
-- Arguments: authority, path, name of the tool, word in every good answer, first number,
-- file with one access token a line (or "-").
-- Prints one line that begins with "sample " and is followed by JSON.
--
-- Numbers have ten digits, so that every request is equally long and only its number is new.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local heads, body_before, body_between, body_after, good
local tokens = {}

bad = 0
complaint = ""

function init(arguments)
  local authority, path, tool, word, first, file = unpack(arguments)
  number = tonumber(first)
  good = '"text":"' .. word .. ' '
  body_before = '{"jsonrpc":"2.0","id":'
  body_between = ',"method":"tools/call","params":{"name":"' .. tool .. '","arguments":{"number":'
  body_after = ',"text":"a line of ordinary length, as agents send them"},"_meta":{'
    .. '"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    .. '"io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},'
    .. '"io.modelcontextprotocol/clientCapabilities":{}}}}'
  local length = #body_before + 10 + #body_between + 10 + #body_after
  if file ~= "-" then
    for token in io.lines(file) do table.insert(tokens, "Authorization: Bearer " .. token .. "\r\n") end
  else
    tokens[1] = ""
  end
  heads = {}
  for place, token in ipairs(tokens) do
    heads[place] = "POST " .. path .. " HTTP/1.1\r\nHost: " .. authority .. "\r\n" .. token
      .. "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
      .. "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: " .. tool
      .. "\r\nContent-Length: " .. length .. "\r\n\r\n" .. body_before
  end
end

function request()
  number = number + 1
  local shown = string.format("%d", number)
  return heads[number % #heads + 1] .. shown .. body_between .. shown .. body_after
end

function response(status, headers, body)
  if status ~= 200 or not body:find(good, 1, true) then
    bad = bad + 1
    complaint = status .. " " .. body
  end
end

function done(summary, latency, requests)
  local wrong, said = 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("bad")
    said = thread:get("complaint")
  end
  local e = summary.errors
  io.write(string.format(
    'sample {"calls":%d,"us":%d,"p50_us":%d,"p99_us":%d,"bad":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    wrong + e.connect + e.read + e.write + e.timeout))
  if said ~= "" then io.write("complaint " .. said:gsub("%s+", " "):sub(1, 300) .. "\n") end
end
