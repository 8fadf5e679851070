-- What a provider tells belongs to its record of a part of a call. Which call that record is a part of may turn out
-- otherwise later: then timeline, voicemails, recordings and transcripts go with their record.

alter table call_events add column leg_id uuid,
    add constraint call_events_leg_id_fkey foreign key (organization_id, leg_id) references call_legs (organization_id, id);
create index call_events_leg_id_idx on call_events (organization_id, leg_id, occurred_at) where leg_id is not null;
comment on column call_events.leg_id is 'The record it was told of; the timeline of a call is that of its records. Null: of the call itself.';

alter table voicemails add column leg_id uuid,
    add constraint voicemails_leg_id_fkey foreign key (organization_id, leg_id) references call_legs (organization_id, id);
create index voicemails_leg_id_idx on voicemails (organization_id, leg_id) where leg_id is not null;
alter table recordings add column leg_id uuid,
    add constraint recordings_leg_id_fkey foreign key (organization_id, leg_id) references call_legs (organization_id, id);
create index recordings_leg_id_idx on recordings (organization_id, leg_id) where leg_id is not null;
alter table transcripts add column leg_id uuid,
    add constraint transcripts_leg_id_fkey foreign key (organization_id, leg_id) references call_legs (organization_id, id);
create index transcripts_leg_id_idx on transcripts (organization_id, leg_id) where leg_id is not null;

-- People may say whose call it is; what was recorded of it is then taken back and recorded anew.
alter table calls add column moves integer not null default 0 check (moves >= 0);
comment on column calls.moves is 'How often people gave the call to somebody else. Its usage is recorded under keys of its own each time.';

comment on column inbox_queue.lane is 'Hash of the account and the provider''s id of the conversation: one conversation is interpreted by one worker at a time.';

-- A part of a call that comes before the call waits for it.
alter table inbox_queue add column waits_for text collate "C";
create index inbox_queue_waits_for_idx on inbox_queue (waits_for) where waits_for is not null;
