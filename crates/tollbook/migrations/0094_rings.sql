-- What tells that a phone rings is interpreted at once, while everything else may gather: somebody waits to see who calls.
alter table inbox_queue add column is_ring boolean not null default false;
comment on column inbox_queue.is_ring is 'It tells of a call that rings: interpreted before everything else.';
create index inbox_queue_ring_idx on inbox_queue (seq) where is_ring and parked_at is null;
