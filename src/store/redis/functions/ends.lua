-- Which sessions ended lately, for nodes that remember what they were answered (`follower.rs`): a
-- stream of accounts, written by `tell_end` in the step that ends them. An empty one is all of them.

-- Which run of Redis this is, as long as it is the primary: what a replica has may be late.
local function this_run()
  if not call('INFO', 'replication'):match('role:master') then
    return nil, redis.error_reply('READONLY it is a replica')
  end
  return call('INFO', 'server'):match('run_id:(%x+)')
end

-- Where the stream of the generation in force is now: the run, its key, its last entry. There has to
-- be one, for `ended_since` to see whether all that came after it is still there.
register('follow_ends', function(keys, args)
  local p = prefix(keys, args)
  local run, wrong = this_run()
  if wrong then
    return wrong
  end
  local function last()
    return call('XREVRANGE', p .. 'ends', '+', '-', 'COUNT', 1)[1]
  end
  if not last() then
    tell_end(p, '')
  end
  return { run, p .. 'ends', last()[1] }
end, ENDS)

-- What ended after an entry: where that leads to, and at most so many accounts. Nothing when nobody
-- can tell: it is another run or another generation, or the entry is not there any more, and then
-- neither may be what came after it, for the oldest go first.
register('ended_since', function(keys, args)
  local ends = prefix(keys, args) .. 'ends'
  local run, wrong = this_run()
  if wrong then
    return wrong
  end
  local from, most = args[3], args[4]
  if args[2] ~= run or #call('XRANGE', ends, from, from) == 0 then
    return false
  end
  local found = { from }
  for _, one in ipairs(call('XRANGE', ends, '(' .. from, '+', 'COUNT', most)) do
    found[1] = one[1]
    found[#found + 1] = one[2][2]
  end
  return found
end, READS)
