-- Calls of a batch, new and known, and the lists of the members who may see the new ones. Those of known calls change with
-- `follow_viewers.sql`, if at all.
with written as (
insert into calls as c (organization_id, id, provider, conversation_sid, integration_id, phone_number_id, mapping_id, direction,
    state, outcome, external_party, from_party, to_party, customer_id, answered_by, started_at, answered_at, ended_at,
    billable_seconds, leg_count, check_at, swept_at, fetches, viewer_ids)
select organization_id, id, provider, conversation_sid, integration_id, phone_number_id, mapping_id, direction,
    state, outcome, external_party, from_party, to_party, customer_id, answered_by, started_at, answered_at, ended_at,
    billable_seconds, leg_count, check_at, swept_at, fetches, viewer_ids
from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, provider text, conversation_sid text, integration_id uuid,
    phone_number_id uuid, mapping_id uuid, direction text, state text, outcome text, external_party text, from_party text,
    to_party text, customer_id uuid, answered_by uuid, started_at timestamptz, answered_at timestamptz, ended_at timestamptz,
    billable_seconds bigint, leg_count integer, check_at timestamptz, swept_at timestamptz,
    fetches integer, viewer_ids uuid[])
order by organization_id, id
on conflict (organization_id, id) do update
set conversation_sid = excluded.conversation_sid, phone_number_id = excluded.phone_number_id, mapping_id = excluded.mapping_id,
    direction = excluded.direction, state = excluded.state, outcome = excluded.outcome,
    external_party = excluded.external_party, from_party = excluded.from_party, to_party = excluded.to_party,
    customer_id = excluded.customer_id, answered_by = excluded.answered_by, started_at = excluded.started_at,
    answered_at = excluded.answered_at, ended_at = excluded.ended_at, billable_seconds = excluded.billable_seconds,
    leg_count = excluded.leg_count, check_at = excluded.check_at, swept_at = excluded.swept_at,
    viewer_ids = excluded.viewer_ids, fetches = excluded.fetches, updated_at = now()
-- A row that was there carries the transaction that locked it.
returning organization_id, id, started_at, viewer_ids, xmax = 0 as is_new
)
insert into call_viewers (organization_id, user_id, started_at, call_id)
select w.organization_id, u.user_id, w.started_at, w.id
from written w cross join unnest(w.viewer_ids) as u (user_id)
where w.is_new
order by 1, 2, 3, 4
on conflict do nothing
