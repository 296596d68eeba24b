-- Outcomes of all customers that stand so at {now} ('' fits any filter): open ones by their deadline, then closed ones, the
-- last closed first. What no entry has closed yet is expired from its expires_at on.
SELECT *
FROM
(
    SELECT
        outcome_id, customer_id, task_id, agent_id, action, opened_by, event_id, on_expiry, voided, closed_by, detail, test,
        toString(price_on_success_cents) AS on_success,
        toString(price_on_failure_cents) AS on_failure,
        toString(charge_cents) AS charge,
        toString(revenue_cents) AS revenue,
        toUnixTimestamp64Milli(opened_at) AS opened,
        ifNull(toUnixTimestamp64Milli(expires_at), 0) AS due,
        toUnixTimestamp64Milli(resolved_at) AS ended,
        if(status = 'pending' AND due <= {now:Int64}, 'expired', status) AS state,
        if(state = 'pending', due, -ifNull(ended, due)) AS place
    FROM rev.outcomes
    WHERE ({customer:String} = '' OR customer_id = {customer:String})
        AND ({task_id:String} = '' OR task_id = {task_id:String})
        AND ({outcome_id:String} = '' OR outcome_id = {outcome_id:String})
)
WHERE state IN {states:Array(String)}
    AND toUInt8(test) IN {tests:Array(UInt8)}
    AND ({agent:String} = '' OR agent_id = {agent:String})
    AND (place, event_id) > ({after_place:Int64}, {after_id:UInt64})
ORDER BY place, event_id
LIMIT {limit:UInt32}
