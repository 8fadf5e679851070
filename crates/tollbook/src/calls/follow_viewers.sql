-- Calls that others may see than before, or that began at another time: members' lists, and who may see the parts.
with written as (
    select c.organization_id, c.id, c.started_at, c.viewer_ids
    from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
    join calls c on c.organization_id = k.organization_id and c.id = k.id
), unlisted as (
    delete from call_viewers v using written w
    where v.organization_id = w.organization_id and v.call_id = w.id
        and (v.started_at <> w.started_at or v.user_id <> all (w.viewer_ids))
), listed as (
    insert into call_viewers (organization_id, user_id, started_at, call_id)
    select w.organization_id, u.user_id, w.started_at, w.id
    from written w cross join unnest(w.viewer_ids) as u (user_id)
    order by 1, 2, 3, 4
    on conflict do nothing
), heard as (
    update recordings r set viewer_ids = w.viewer_ids from written w
    where r.organization_id = w.organization_id and r.call_id = w.id and r.viewer_ids <> w.viewer_ids
), said as (
    update transcripts t set viewer_ids = w.viewer_ids from written w
    where t.organization_id = w.organization_id and t.call_id = w.id and t.viewer_ids <> w.viewer_ids
), left_behind as (
    update voicemails v set viewer_ids = w.viewer_ids from written w
    where v.organization_id = w.organization_id and v.call_id = w.id and v.viewer_ids <> w.viewer_ids
    returning v.organization_id, v.id, v.occurred_at, v.viewer_ids
), unlisted_voicemails as (
    delete from voicemail_viewers v using left_behind l
    where v.organization_id = l.organization_id and v.voicemail_id = l.id and v.user_id <> all (l.viewer_ids)
)
insert into voicemail_viewers (organization_id, user_id, occurred_at, voicemail_id)
select l.organization_id, u.user_id, l.occurred_at, l.id
from left_behind l cross join unnest(l.viewer_ids) as u (user_id)
order by 1, 2, 3, 4
on conflict do nothing
