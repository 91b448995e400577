-- Called by _farthest alone: questions that belong to no table, about as many things as they are.
--
-- Of somebody's private matters: what they are about may stand in a table, what they ask does not.
CREATE OR REPLACE FUNCTION rowvec._stray_questions()
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT ARRAY[
        'Which dentist did my aunt go to before she moved?',
        'What did Paula order for lunch last Tuesday?',
        'Where did we leave the key to the garden shed?',
        'How did Tom get the stain out of his grey jacket?',
        'Why did my neighbour sell her old boat?',
        'Who won the card game at our party in March?',
        'Which paint did we use for the kitchen door?',
        'When does my cousin''s choir rehearse this month?',
        'How much did Peter pay for his second-hand piano?',
        'What is the name of the parrot that lives next door?',
        'Which bus did the children take to the museum yesterday?',
        'How do I open the blue box that my grandfather made?',
        'What did the vet say about Nora''s limping dog?',
        'Which exam does my sister repeat in the autumn?',
        'Where did uncle Karl serve during his military service?',
        'Why was our flight to Lisbon delayed for three hours?',
        'Which port does our test server listen on this week?',
        'How many tomatoes did we harvest last summer?',
        'What did the lawyer write in her second letter to us?',
        'Who repaired the clutch of Anna''s van?',
        'Which pills does my father take in the morning?',
        'What is the password of my brother''s old laptop?',
        'How high is the bill for our heating this year?',
        'Where do I find the invoice of the roofer?',
        'Which film did you fall asleep in on Sunday?',
        'How far did Lena run before her knee hurt?',
        'What did the mayor promise our street?',
        'Which star did we look at from the balcony?',
        'Who among my colleagues speaks Portuguese?',
        'How do I fold the letter that Maria sent me?',
        'What was the score of the girls'' match on Friday?',
        'Which proof did the professor skip in our lecture?'
    ]
$function$;
