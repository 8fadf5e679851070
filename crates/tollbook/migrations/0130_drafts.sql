-- Versions of a plan are drafted one at a time: what is published next is never in doubt.
create unique index plan_versions_draft_key on plan_versions (seller_id, plan_id) where state = 'draft';
