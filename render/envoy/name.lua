-- The host's name ends here: before a port and before a final dot.
local function name_end(host)
  local n = #host
  local i = n
  while i > 0 and string.byte(host, i) >= 48 and string.byte(host, i) <= 57 do
    i = i - 1
  end
  if i > 0 and string.byte(host, i) == 58 then
    n = i - 1
  end
  if n > 0 and string.byte(host, n) == 46 then
    n = n - 1
  end
  return n
end
