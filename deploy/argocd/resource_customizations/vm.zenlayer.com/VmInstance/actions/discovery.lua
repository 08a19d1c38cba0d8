local actions = {}

if obj.spec.suspend == true then
  actions["resume"] = { ["iconClass"] = "fa fa-fw fa-play" }
else
  actions["suspend"] = { ["iconClass"] = "fa fa-fw fa-pause" }
end

-- A refused call is made again.
if obj.status ~= nil and obj.status.refusal ~= nil then
  actions["retry"] = { ["iconClass"] = "fa fa-fw fa-redo" }
end

-- A person decides: it may order, and pay, again. status.pendingDecision.message says what it does.
local decision = obj.status ~= nil and obj.status.pendingDecision or nil
if decision ~= nil and decision.annotation == "vm.zenlayer.com/release=" .. (decision.changeId or "") then
  actions["release"] = { ["iconClass"] = "fa fa-fw fa-unlock" }
end

return actions
