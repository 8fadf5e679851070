-- Parts of legs that are in another call now.
with leg as (
    select l.organization_id, l.id, l.call_id, c.viewer_ids
    from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
    join call_legs l on l.organization_id = k.organization_id and l.id = k.id
    join calls c on c.organization_id = l.organization_id and c.id = l.call_id
), heard as (
    update recordings r set call_id = l.call_id, viewer_ids = l.viewer_ids
    from leg l where r.organization_id = l.organization_id and r.leg_id = l.id
), said as (
    -- A call has one transcript.
    update transcripts t set call_id = l.call_id, viewer_ids = l.viewer_ids
    from leg l where t.organization_id = l.organization_id and t.leg_id = l.id
        and not exists (select from transcripts o where o.organization_id = l.organization_id and o.call_id = l.call_id)
), left_behind as (
    update voicemails v set call_id = l.call_id, viewer_ids = l.viewer_ids
    from leg l where v.organization_id = l.organization_id and v.leg_id = l.id
    returning v.organization_id, v.id, v.occurred_at, v.viewer_ids
), unlisted as (
    delete from voicemail_viewers v using left_behind l
    where v.organization_id = l.organization_id and v.voicemail_id = l.id and v.user_id <> all (l.viewer_ids)
)
insert into voicemail_viewers (organization_id, user_id, occurred_at, voicemail_id)
select l.organization_id, u.user_id, l.occurred_at, l.id
from left_behind l cross join unnest(l.viewer_ids) as u (user_id)
order by 1, 2, 3, 4
on conflict do nothing
