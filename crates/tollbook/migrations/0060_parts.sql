-- What the parts of a call are used goes where the call goes: all that was recorded of a record's parts is found at once.
create index usage_events_record_idx on usage_events (organization_id, resource_id) where resource_type = 'call' and call_id is null;

-- Usage that goes to somebody else is told apart by whom it goes to.
alter table calls drop column moves;
