-- One index says whose usage waits and that it waits once; rows are deleted by that key. Four indexes were a third of
-- the work of taking in an event.
alter table rating_queue drop constraint rating_queue_pkey;
drop index rating_queue_account_idx;
drop index rating_queue_usage_event_key;
alter table rating_queue add primary key (organization_id, account_id, usage_event_id);
