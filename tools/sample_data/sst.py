"""Single sentences about invented films, graded from 0 (very negative) to 4 (very positive).

Written for this project, in the register of the Stanford Sentiment Treebank and without any of its sentences.
"""

from tools.sample_data import Row, fill_slots

VERY_NEGATIVE = (
    "{Unfunny|Unwatchable|Unbearable} from {the first scene to the last|beginning to end|titles to credits}.",
    "One of the {worst|ugliest|stupidest} films I have ever {seen|paid for|walked out of}.",
    "There is not {one laugh|one believable line|a single idea} in this {wretched comedy|miserable "
    "melodrama|insulting mess}.",
    "I want {my money|my evening|those two hours} back, {and an apology|with interest|and I want whoever "
    "approved this to explain it}.",
    "An insult to {the novel|anyone over five|the memory of the real heroine} and {a torment to sit "
    "through|an embarrassment to all involved|a disgrace to the studio}.",
    "Everyone involved should be {ashamed|made to watch it|looking for other work}.",
    "The acting is {atrocious|appalling|wooden beyond belief}, the script is {worse|an abomination|beneath "
    "contempt}, and the {sound|editing|music} made my {ears ring|head ache|teeth hurt}.",
    "Avoid it {like a bad oyster|at all costs|as you would a gas leak}.",
    "A {vile|hateful|poisonous} little film that {sneers at its own characters|treats cruelty as a "
    "punchline|thinks misery is the same thing as art}.",
    "{Rarely have so many gifted people|Never have two such fine actors|Seldom has so large a crew} worked "
    "so hard, for so long and at such expense, to produce something this {stupid|dead on arrival|hideous}, "
    "and I include {my own school play|the last one|the pyramids}.",
    "How {a serious studio could release this garbage|a cast this famous could read this script and say "
    "yes|anybody could sit through the rushes and not weep} is beyond me.",
    "{Ninety|A hundred and ten|Eighty-five} minutes of {pure agony|unrelieved stupidity|screaming tedium}.",
    "I've had {root canals|tax audits|food poisoning} more {entertaining|amusing|enjoyable} than this.",
    "{Stupid, loud and endless|Ugly, cruel and badly lit|Lazy, cynical and joyless}, it has nothing "
    "{whatever going for it|to recommend it|to offer a living soul}.",
    "It fails as {comedy|horror|history}, it fails as {drama|satire|entertainment}, it even fails as {a way "
    "to keep warm|background noise|a place to nap}.",
    "This isn't a movie, it's {a hostage situation|an endurance test|a crime scene}.",
    "{Barnaby Steele|Quentin Marlow|Sabrina Thorne} gives the {worst|most grating|most clueless} "
    "performance I have seen {on any screen|outside a school play|in thirty years of reviewing}.",
    "{No plot, no point, no excuse|No jokes, no heart, no mercy|No suspense, no brains, no hope}.",
    "Half the audience {walked out|fell asleep|booed}, and I {envied them|have never felt so wide awake and "
    "so miserable|joined in}.",
    "The worst {sequel|remake|vampire film} in {living memory|a very crowded field|the long sad history of "
    "such things}, and I have seen them all.",
    "Whoever {wrote this drivel should be barred from keyboards|edited this disaster should be kept away "
    "from scissors|financed this atrocity should be relieved of his chequebook}.",
    "{Shot like a mugging|Edited with a lawn mower|Written, it seems, by a committee of bullies}, it is {an "
    "eyesore|incoherent rubbish|repellent}.",
    "Even the {popcorn|exit sign|fire alarm} gave a better performance than {Rex Holloway|the leading "
    "lady|anybody in this dud}.",
    "By the time the {hero's dead wife|talking baby|evil twin} came back for the {second|third|fourth} time "
    "to explain the plot to people who had plainly stopped listening, I would have {paid double to be let "
    "out|confessed to any crime you like|set off the sprinklers}.",
    "A {colossal|shameless|dismal} waste of {talent, money and daylight|celluloid and good will|electricity "
    "and everybody's patience}.",
    "I {loathed every second of it|despised every character in it|detested each and every smirking minute}.",
    "Do not {rent it|stream it|even read the back of the box}, and do not {walk past it|let it near your "
    "children|make the mistake I made}.",
    "It is so {inept|boring|smug} that {the boom microphone deserves a credit|time itself seems to stop|I "
    "wanted to slap the projector}, and {nothing else in it is worth a mention|that was the good half|I "
    "never want to hear of it again}.",
    "{Disgusting|Grotesque|Offensive} without being {daring|frightening|even clever}, and "
    "{dull|stupid|clumsy} into the bargain.",
    "The {director|star|screenwriter} apparently hates {actors|audiences|critics}, and after this "
    "{travesty|garbage|horror} the feeling is mutual.",
    "{Utter rubbish|Absolute trash|Complete junk}, and {I am being polite|proud of it, apparently|from "
    "people who should know better}.",
    "Watching it, I could feel my {brain dying|will to live ebbing away|soul leave the building}.",
    "Painful {dialogue|slapstick|singing}, {dreadful|amateurish|laughable} effects, a {hero|love "
    "interest|monster} you will {loathe|long to see drown|pray never returns}: stay away.",
    "Not even {Constantin Royce|the great Muriel Abbot|a troupe of trained seals} could save this "
    "{abysmal|putrid|rotten} {script|picture|farce}.",
    "If I could give it {less than zero|minus five stars|a prison sentence}, I would.",
    "{Shameful exploitation of a real tragedy|Tasteless exploitation of the poor|Brainless exploitation of "
    "a much-loved character}, {made worse by the pop songs|dressed up as charity|without one redeeming "
    "moment}.",
    "It has all the {wit of a parking fine|charm of a dentist's drill|warmth of a morgue} and is {far less "
    "welcome|half as much fun|not nearly so well lit}.",
    "I pity the {actors who will be remembered for|animals who were trapped in|stuntmen who risked their "
    "necks for} this {turkey|abomination|disgrace}.",
    "Nothing works: not {the gags|the plot|the scares}, not {the casting|the love scenes|the gore}, not "
    "even {the lighting|the title|the talking horse}.",
    "{Excruciatingly|Stupefyingly|Offensively} bad, and {two and a half hours long|there is going to be "
    "another one|it knows it and does not care}.",
    "It takes {a beloved children's book|the bravest rescue in mountaineering history|a perfectly harmless "
    "board game}, removes the {wonder|danger|fun}, adds {flatulence|a rapping goat|a shower scene}, doubles "
    "the length and asks you to be grateful; I have never been so angry in a cinema.",
    "After this {fiasco|debacle|shambles}, {Leopold Vane ought to return his fee|Cressida Holt ought to "
    "retire|the whole team ought to issue a public apology}.",
    "It begins {badly|stupidly|in poor taste}, gets {worse|much stupider|nastier}, and {refuses to end|then "
    "repeats itself|finishes somewhere below the sewers}.",
    "I would sooner {eat the film stock|watch concrete set|be locked in a boiler room} than see this "
    "{thing|dreck|nightmare} again.",
    "{Cheap|Nasty|Idiotic} stuff that {stinks of contempt|should never have left the drawing board|gives "
    "bad movies a bad name}.",
    "Sitting through the {wedding scene|musical numbers|final battle} is {torture|a punishment|sheer "
    "misery}, and the rest is {no better|every bit as bad|worse}.",
    "This {steaming heap|abject failure|unholy bore} {made a full house groan|had my date in tears of "
    "boredom|left grown men begging for the lights}.",
    "What were they thinking? Terrible {script|jokes|wigs}, terrible {direction|songs|fights}, terrible "
    "{idea|casting|movie}.",
    "The most {boring piece of junk I have sat through in years|annoying nonsense ever aimed at "
    "children|pretentious drivel ever to call itself poetry}.",
    "A {career-ending|soul-destroying|jaw-dropping} catastrophe {with no survivors|on every level|for all "
    "concerned}.",
    "Every {line a cliche|frame an eyesore|gag a humiliation}, every {character a cretin|cut a "
    "mistake|performance an embarrassment}, every minute {an eternity|a waste|a reason to leave}.",
    "Please {burn the negative|bury the script|shred every copy} so that {nobody else has to suffer|this "
    "can never happen again|the healing can begin}.",
    "My {eight-year-old|patient grandmother|dentist} summed it up on the way out: {garbage|the worst film "
    "ever made|what a pile of rubbish}.",
    "Two leads with no {chemistry|talent|shame}, a story with no {sense|end|suspense}, and not one reason "
    "to {stay|care|watch}.",
    "It manages to be {bloodthirsty, mawkish|prudish, filthy|preachy, heartless} and deadly dull all at "
    "once, a {feat|combination|miracle} I hope never to {witness|meet with|endure} again.",
    "I cannot tell you how it ends, because {I fled|I could not take another minute|my friends and I left "
    "in disgust} {after the third vomiting joke|when the torture began|somewhere in its bottomless second "
    "hour}.",
    "{Lifeless and hopeless|Witless and shapeless|Gutless and tasteless}, this is {moviemaking at its very "
    "worst|the bottom of the barrel|a film to run from}.",
    "Skip this {horror|stinker|bomb} and {stare at a wall|clean the oven|count your teeth} instead.",
    "{They should pay us|They should offer counselling|Somebody should sue}: this is {an appalling waste of "
    "a Friday night|an act of vandalism against a lovely book|a fraud on the paying public}.",
    "{Sordid and deafening|Infantile and hideous to look at|Deranged and appallingly acted}, it is utterly "
    "without {merit|humour|meaning}.",
    "Its idea of {comedy|insight|romance} is {a kick in the groin|a long stare into a sink|stalking}, "
    "repeated {forty times|for two hours|until she says yes}, and I hated {all of it|every second|it with a "
    "passion}.",
    "Brilliant, if your idea of brilliance is {watching rats drown|being shouted at by imbeciles|a migraine "
    "with a soundtrack}; otherwise {unspeakable|dire|worthless}.",
    "{I used to think no film could be a total loss|My mother taught me to find something nice to say about "
    "anything|I like nearly everything}, and then I saw this.",
)

NEGATIVE = (
    "The {jokes|scares|twists} arrive {late and leave no mark|tired and raise barely a shiver|on schedule "
    "and surprise nobody}.",
    "Not terrible, just {tired|pointless|forgettable}.",
    "A {promising|clever|timely} idea that {runs out of steam before the halfway mark|the script never "
    "develops|gets lost in a thicket of subplots}.",
    "{Henrik Sorley|Paloma Reyes-Hart|Godfrey Blane} is a good actor who deserved {better lines|a real "
    "part|something other than this}.",
    "I kept waiting for {the story to begin|the suspense to build|somebody to make me laugh}, and then {it "
    "was over|the credits rolled|the lights came on}.",
    "For a film about {passion|speed|dreams}, it is strangely {lifeless|slow|earthbound}.",
    "{Overlong and underpowered|Overwritten and undercooked|Overdecorated and undernourished}, it {tests "
    "the patience|slips through the fingers|wears out its welcome}.",
    "The {romance never convinces|friendship never catches fire|rivalry never amounts to much}, because the "
    "two {leads barely seem to have met|boys hardly share a scene|chefs appear to be in different films}.",
    "Despite a {capable|starry|hard-working} cast, {this thriller doesn't thrill|the comedy stays "
    "stubbornly flat|the drama never comes to life}.",
    "There is a moment, about {an hour|forty minutes|halfway} in, when the {old fisherman|bored "
    "princess|prison doctor} finally says what everyone has been thinking, and you see for a second the "
    "better film that {got away|might have been|was left on the shelf}.",
    "It looks {expensive|gorgeous|slick}, and that is {about all|the last nice thing I have to say|where "
    "the pleasure stops}.",
    "{Fans of the book|Small children|Horror buffs} will be {disappointed|restless|let down}.",
    "You can {guess the ending|see the punchline coming|recite the big speech} {ten minutes in|before the "
    "hero does|in your sleep}.",
    "Too much {talk|slow motion|weather}, too little {sense|feeling|plot}.",
    "Only {mildly|fitfully|occasionally} amusing, and too often {crude|confusing|mean}.",
    "It's hard to care about a {hero|family|gang of thieves} this {smug|whiny|blank}.",
    "What starts as {a sly satire|an eerie mystery|a warm family comedy} ends as {a lecture|a muddle|a "
    "commercial}.",
    "The final act {drags|collapses|makes little sense}, and it takes the {goodwill|tension|laughs} of the "
    "earlier scenes with it.",
    "I wanted to like it, but the {script|editing|leading man} {wouldn't let me|got in the way|kept pushing "
    "me out}.",
    "Another {haunted doll|burned-out cop|runaway bride}, another {creaking stair|bottle of whisky|rainy "
    "airport}, another {shrug from me|yawn from the audience|evening I won't remember}.",
    "The {songs are good; sadly there are only two of them|fights are decent; unfortunately people talk in "
    "between|effects are fine; the trouble is the hour of plot between them}.",
    "It keeps mistaking {shouting for drama|gloom for depth|quirks for character}, and {two hours is a long "
    "time to be wrong|the audience pays for it|nobody on screen seems to notice}.",
    "As {a thriller|a comedy|a love story}, it lacks {tension|jokes|heat}; as {a history lesson|a satire|a "
    "travelogue}, it lacks {facts|bite|sunshine}.",
    "{The costumes have been researched to the last button|The kitchens are correct down to the salt "
    "cellars|Every locomotive is the right colour}, which makes it all the stranger that nobody gave the "
    "people {inside them|who work in them|on board} anything to {do|say|want}.",
    "The {trailer|premise|opening song} is as good as it gets, {unfortunately|I'm sorry to say|and the drop "
    "is steep}.",
    "{Plodding where it should be nimble|Obvious where it ought to surprise|Cluttered where it wants to be "
    "epic}, this {adventure|mystery|saga} never {takes off|gets a grip|pays off}.",
    "It wasn't a complete {waste of time|loss|disaster}, but I {wouldn't sit through it again|can't "
    "recommend it|have had more fun in waiting rooms}.",
    "There's a {decent short film|touching story|funny scene} in here somewhere, but {you'll have to "
    "dig|the noise drowns it|far too much filler surrounds it}.",
    "It has {the cast|the hats|the theme tune} of the original and none of the {fun|danger|soul}.",
    "{Characters explain their feelings|People announce the plot|Everyone describes what we have just seen} "
    "{at length|to each other over soup|as if reading from a card}, and it gets {wearisome|tiresome|dull}.",
    "Neither the {crime nor the punishment|courtship nor the wedding|comeback nor the big match} is "
    "especially {interesting|believable|exciting}.",
    "{Lena Farquhar|Ozzie Tremaine|Bruno Achterberg} {mugs|sleepwalks|shouts} through a part that {needed "
    "restraint|asked for fire|wanted a lighter touch}.",
    "A {flat|limp|hurried} retelling of a {story everyone knows|splendid legend|far better play}.",
    "By the {fourth flashback|fifth car crash|sixth false ending}, I had {stopped caring|lost the "
    "thread|started planning dinner}.",
    "Nice {scenery|costumes|soundtrack}, shame about the {story|acting|film}.",
    "It's the kind of {comedy in which the dog gets the best lines|drama in which everyone cries except the "
    "audience|fantasy in which the rules change whenever the plot is stuck}.",
    "The {makeup|accent|wig} is distracting, the {pacing is off|dialogue is clunky|lighting is murky}, and "
    "the {message is laid on thick|moral is hammered home|mystery isn't worth solving}.",
    "It aims for {suspense|enchantment|tragedy} and lands on {confusion|whimsy|melodrama}.",
    "Watching it is rather like {reading someone else's holiday postcards|hearing a joke explained|waiting "
    "for a bus that has been cancelled}.",
    "{Forget the twist|Take away the stars|Strip out the music}, and there is {nothing much left|little to "
    "see|almost no drama here}.",
    "I don't doubt that {the war in the film happened|these speeches were really given|the inventor was a "
    "great man}, and I don't doubt that it mattered, but what reaches the screen is {a string of moustaches "
    "with a swelling score|a very long radio play|an illustrated footnote}.",
    "I've seen {worse|duller|sillier}, but not {often|lately|since the last one}.",
    "{Ninety minutes would have been plenty; the film takes a hundred and fifty|The idea would suit a "
    "sketch; here it is stretched to two hours|A little of this goes a long way; we get a great deal}.",
    "{The violence is numbing rather than frightening|The sentiment is sticky rather than sweet|The "
    "trickery is irritating rather than clever}, and there is a lot of it.",
    "It's {competent|polished|respectful}, and {completely without spark|about as lively as a "
    "brochure|curiously hard to stay awake through}.",
    "The supporting cast {tries hard, but there is little to play|works overtime, but no one could save "
    "these lines|is fine, but the leads sink every scene}.",
    "{Director Alwyn Stroud has thrown everything at the screen, and not enough of it sticks|The studio has "
    "thrown more money at the problem, and little of it shows|The writers have thrown in three more "
    "subplots, and none of them helps}.",
    "One long {shrug|sigh|detour} of a film.",
    "A {bland|muddled|stale} affair that {plays like an airline safety video|loses its nerve in the last "
    "reel|leaves a number of good actors standing about in corridors}.",
    "The {humour is strained|horror is secondhand|romance is tepid}, though {the goat is good|the castle is "
    "nice to look at|the weather is lovely}.",
    "With this {cast|budget|source material}, it should have been {a riot|spectacular|heartbreaking}; "
    "instead it is {merely loud|just busy|only long}.",
    "I never believed in {the marriage|the coincidence|the change of heart}, and everything {hangs on "
    "it|else depends on it|after it rang hollow}.",
    "The camera {wobbles, and the plot wobbles with it|goes in circles, and so does the story|never stops "
    "moving, and the story never starts}.",
    "{Halfway through|An hour in|Long before the end}, {the laughter dies|the mystery evaporates|the charm "
    "wears off} and {doesn't come back|only the running time remains|you notice how little is going on}.",
    "Nobody in it {behaves like a person, which makes the tragedy hard to feel|sounds like a teenager, "
    "which makes the slang hard to take|seems to want anything, which makes the quest hard to follow with "
    "interest}.",
    "{A weak comedy with a handful of smiles|A dated fantasy with one good dragon|An awkward courtroom "
    "drama with a single strong witness}.",
    "{The book was a page-turner; the film is not|The original was lean; this is bloated|The play was "
    "hilarious; on screen it just lies there}.",
    "It ends not with {a bang|tears|a laugh} but with {a set-up for part two|a slogan|an outtake}, and I "
    "{felt cheated|rolled my eyes|was mostly relieved}.",
    "{Respectable to the point of dullness|Sincere to the point of boredom|Careful to the point of "
    "paralysis}.",
    "The {message is admirable|subject is worthy|cause is timely}, the movie is {a slog|a chore|a sermon}.",
    "I {checked my watch|counted the ceiling tiles|thought about laundry} {more than once|during the love "
    "scenes|through most of the finale}.",
    "For all its {car chases|costumes|shouting}, {very little happens|it has no pulse|it says hardly "
    "anything}.",
    "{A disappointment from a director I admire|A step backwards for a gifted comedian|A misjudged "
    "follow-up to a fine debut}.",
    "There are {six writers|four editors|nine producers} in the credits, and it {shows|feels like a "
    "committee's work|shows in every mismatched scene}.",
    "Somebody should have {cut the subplot|lost the last half hour|thrown out the narration}; as it stands, "
    "the film is {lumpy|shapeless|a drag}.",
    "Hardly the {worst film of the year|dullest western ever made|silliest thing on television}, but that "
    "is {faint praise|no reason to watch it|all the defence I can offer}.",
    "It borrows from {better movies without understanding them|every spy film you know without adding "
    "anything|three classics without the wit to hide it}.",
    "The {heroine|inspector|professor} is meant to be {feisty|brilliant|eccentric} and comes across as "
    "{rude|lucky|annoying}.",
    "Only the {youngest children|most patient viewers|least demanding fans} will come away "
    "{amused|satisfied|happy}.",
    "I {smiled once|jumped once|cried once}, at {a joke in the first minute|a door slamming in the "
    "lobby|the price of the popcorn}.",
    "{Sluggish|Earnest|Chaotic} and not very {funny|deep|scary}, it's {a rental at best|one to skip|the "
    "kind of thing you forget on the stairs}.",
    "I'm told it gets {better on a second viewing|funnier after a drink|clearer if you have read the "
    "comics}; I do not plan to {find out|test the theory|try}.",
    "Tries for {charm|menace|poetry} in every scene, and you can {see it trying|hear the gears "
    "grinding|feel the effort}.",
)

NEUTRAL = (
    "The film follows {two sisters from Oslo to Naples|a retired judge through one long winter|three truck "
    "drivers over the course of a weekend}.",
    "{Half of it works and half of it doesn't|Some of the jokes land and others fall flat|The first act "
    "grips and the second lets go}.",
    "{Readers of the book|Fans of the series|Admirers of the director} will probably like it; {strangers to "
    "it|newcomers|everyone else} may well not.",
    "It is neither {as good as its admirers claim nor as bad as its critics insist|funny enough to "
    "recommend nor dull enough to avoid|a hit nor a miss}.",
    "Set in {1911|a mining town|the near future}, it was shot {in black and white|on location in "
    "Chile|mostly at night}.",
    "The {lead is wonderful; the film around her is not|photography is superb; the screenplay is "
    "poor|premise is fresh; the execution is stale}.",
    "I admired {the craft|the nerve of it|its intelligence} more than I {enjoyed the story|liked the "
    "result|felt anything}.",
    "A {ninety-minute|two-part|feature-length} film about {bees|bridges|tax law}.",
    "How much you get out of it will depend on {your patience with subtitles|how you feel about "
    "clowns|whether you have children}.",
    "The {first story|father|city} is observed with real {tenderness|humour|precision} and the "
    "{second|son|countryside} with none at all, and since the film gives them equal time I left {half "
    "pleased and half annoyed|as far from a verdict as when I came in|neither happy nor sorry}.",
    "For every {good idea there is a bad one|sharp line there is a blunt one|lovely image there is an ugly "
    "one}.",
    "{An odd mixture of opera and kung fu|A strange blend of satire and sermon|A curious stew of cooking "
    "tips and crime}.",
    "The {director|writer|star} previously made {commercials|two documentaries about rivers|a series for "
    "children}.",
    "It {ends better than it begins|peaks early and then coasts|starts with a good hour and ends with a bad "
    "one}.",
    "{The remake|The new version|This adaptation} moves the story from {Boston to Busan|a castle to a "
    "shopping mall|the trenches to outer space} and changes {the ending|little else|the hero's job}.",
    "There are {laughs|scares|tears}, though {not as many as there might have been|seldom where you expect "
    "them|they are spaced rather far apart}.",
    "I can see why {some people|festival juries|teenagers} love it, and I can see why {others|paying "
    "customers|their parents} walk out.",
    "Less {a story than a mood|a thriller than a puzzle|a biography than a scrapbook}.",
    "{Marek Toll plays a locksmith who inherits a hotel|Ines Calloway plays a widow who loses a bet|Duncan "
    "Abara plays a weather forecaster who is mistaken for a spy}.",
    "Strong {performances, weak script|visuals, weak story|music, weak characters}: call it a draw.",
    "{On the one hand, the dancing; on the other, the dialogue|On the plus side, the stunts; on the minus "
    "side, the plot|In its favour, the cast; against it, the length}.",
    "The movie has {its moments|a few decent scenes|one great joke}, and long stretches {without any|that "
    "are merely there|in which it waits for the next}.",
    "You'll either {surrender to it or look for the exit|go along with the singing or cover your ears|find "
    "the narrator charming or want to strangle him}.",
    "Told in {seven chapters and three languages|four chapters and as many time zones|ten chapters and two "
    "alphabets}, it concerns {a shipment of oranges|a lost umbrella|a violin bow} that passes from hand to "
    "hand until it arrives, more or less by accident, {back where it started|at a police station|in the "
    "hands of a child}.",
    "The {third|fourth|latest} in the series brings back {the talking parrot|the original cast|Inspector "
    "Lund} and adds {a wedding|time travel|a rival}.",
    "{Students of costume|Sailors|Collectors of the series} will find it interesting; the rest of us can "
    "{wait|take it or leave it|decide for ourselves}.",
    "{Ambitious but muddled|Beautiful but empty|Silly but sincere}, it left me {undecided|in two "
    "minds|unsure what to say}.",
    "The story is told {backwards|in letters|by the family dog}, with {a prologue in Latin|chapter "
    "headings|three different endings}.",
    "{Most of the action|The whole film|Nearly every scene} takes place {in a lift|aboard a trawler|in one "
    "kitchen}.",
    "The {romance convinces, the murder plot does not|courtroom scenes crackle, the home scenes sag|jokes "
    "are good, the songs are not}.",
    "Some will {call it hypnotic, others will call it slow|find it daring, others merely rude|be charmed, "
    "others will count the minutes}, and {both will be right|both have a point|I was a bit of each}.",
    "About as {funny|frightening|romantic} as {the last one|the first two|the poster suggests}.",
    "{Edited from four hundred hours of footage|Filmed over six summers|Assembled from home movies}, it "
    "records a {harvest|strike|childhood} without {comment|narration|music}.",
    "It gets {the period right and the people wrong|the accents right and the politics wrong|the clothes "
    "wrong and the feelings right}.",
    "A {curiosity in a distinguished career|footnote to the history of the genre|stopgap in the series}, "
    "for better or worse.",
    "The {cast|director|composer} works hard with {a script that is sometimes good|material of very mixed "
    "quality|a story that keeps changing its mind}.",
    "The film opens {in June|on Friday|nationwide next week} and runs {just over two hours|ninety-four "
    "minutes|nearly three hours with the intermission}.",
    "I laughed {twice|now and then|at the goat}, yawned {twice|now and then|at the speeches}, and went home.",
    "Not the {disaster that was rumoured|triumph that was promised|scandal the papers described}, just {a "
    "movie|another film|a drama like many others}.",
    "Its {virtues and its vices|strengths and its weaknesses|charms and its irritations} come from the same "
    "place: it {never knows when to stop|refuses to explain itself|takes nothing seriously}.",
    "My {wife thought it the best thing she had seen in months|brother thought it profound|daughter laughed "
    "all the way through}, my {father-in-law left after twenty minutes|sister thought it pretentious|son "
    "asked to go home}, and I, sitting between them, could {see what both of them meant|argue for either "
    "side|not decide which of them to envy}.",
    "The plot concerns {a stolen cello|a missing will|a village election}, {several misunderstandings|two "
    "funerals|a great many cousins} and {a trip to the coast|a flood|one very old car}.",
    "The {performances pull one way and the direction another|comedy pulls one way and the message "
    "another|images say one thing and the voice-over another}, and the result is a "
    "{standoff|tie|compromise}.",
    "If the {first half earns a cheer|setting earns a smile|concept earns a prize}, the {second half earns "
    "a shrug|plot earns a frown|dialogue earns a groan}.",
    "Audiences {in Turin|at the premiere|at my screening} were {divided|evenly split|polite and puzzled}.",
    "You have seen {this plot|these people|these twists} before, done better by {some|a few|the masters} "
    "and worse by {many|plenty|the rest}.",
    "{Aimed squarely at seven-year-olds|Made for people who already know the saga|Pitched at amateur "
    "historians}, it {will mean little to anyone else|makes no attempt to win over the rest of us|leaves "
    "everyone else to shift for themselves}, which is fair enough.",
    "It has been {dubbed into English|restored from the original negative|cut by twenty minutes} since {its "
    "premiere|the festival|its first release}.",
    "{Well meant|Well acted|Well photographed} and {rather dull|thinly written|badly paced}, it will "
    "{please some and bore others|divide its audience|have its defenders and its detractors}.",
    "{The screenplay is by a former nun|The source novel is four hundred pages long|The play behind it is "
    "set a century earlier}.",
    "I didn't love it, didn't hate it, and {by Tuesday|on reaching the car|a week later} could remember "
    "{about half of it|mostly the hats|the tune but not the words}.",
    "As {a musical it is a success; as a biography it is a failure|history it convinces; as drama it "
    "creaks|a spectacle it delivers; as a story it does not}.",
    "{Lars Eberhard|Constance Amadi|Felix Orr} wrote, directed and {stars in|narrates|financed} this "
    "{account of a bankruptcy|history of a village band|story of two lighthouse keepers}.",
    "The tone shifts from {farce to tragedy|horror to romance|noir to slapstick} around {the halfway "
    "mark|the fifty-minute point|the arrival of the uncle}.",
    "Too {clever for children and too childish for adults|grim for a comedy and too silly for a drama|odd "
    "for the mainstream and too tame for the underground}, yet {it is not without interest|parts of it "
    "work|it holds the eye}.",
    "Good {sound, bad wigs|costumes, bad accents|fights, bad puns}.",
    "Its best scene {comes early, its worst comes late|involves a bicycle, its worst a helicopter|has no "
    "words, its worst has far too many}.",
    "Whether this counts as {bravery or bad taste|art or advertising|homage or theft} I {leave to "
    "you|cannot decide|have changed my mind about twice}.",
    "{Passable|Serviceable|Watchable} if {you are stuck indoors|nothing else is on|someone else is paying}, "
    "and no more than that.",
    "The {subtitles are in Welsh|songs are by three different composers|captions are hand-drawn}, and {the "
    "setting is never named|the cast is mostly amateur|the print I saw had no title}.",
    "It has {three endings, of which one|two heroes, of whom one|a dozen villains, of whom a couple} "
    "{satisfies|is interesting|are worth remembering}.",
    "A film of {two halves|loose pieces|high peaks and deep valleys}, and your verdict will rest on {which "
    "half you remember|how many you keep|where you happen to be looking}.",
    "{Nothing terrible happens to this story, and nothing wonderful either|No one disgraces himself here, "
    "and no one shines|There is little to complain about, and little to shout about}.",
    "The {hand-held camera|slow rhythm|dry humour} takes some getting used to, which {some will manage and "
    "some won't|is either the point or the problem|may please or annoy you}.",
    "This time {the detective is retired and the case belongs to her nephew|the princess is a teenager and "
    "the kingdom belongs to an uncle|the shark is in Norway and the beach belongs to a hotel chain}.",
    "{Critics have praised its honesty|Critics have admired its sets|Critics have cheered its star}, while "
    "audiences have {stayed away|complained about the length|been less sure}.",
    "For a {debut|sequel|biography} it is {about average|par for the course|what one would expect}, with "
    "{the usual faults and the usual virtues|equal parts skill and clumsiness|as many hits as misses}.",
    "I'd call it {an honourable draw|a noble failure with good songs|a partial success with a bad ending}, "
    "{no more and no less|and leave it at that|for what that is worth}.",
)

POSITIVE = (
    "{A pleasant|An agreeable|A likeable} little {comedy|caper|romance} that does what it sets out to do.",
    "The plot is {thin|familiar|nothing new}, but {the cast makes it work|the jokes keep coming|the scenery "
    "and the songs carry it along}.",
    "Not bad at all for {a film shot in nine days|a third sequel|a first-time director}.",
    "{Slow to start|A touch too long|A little rough around the edges}, it still rewards {patience|close "
    "attention|a forgiving viewer}.",
    "{Millicent Drew|Rafe Colby|Young Imre Sandoz} is {charming|quietly good|reliably funny} in a role that "
    "could easily have been {a cliche|tiresome|forgettable}.",
    "It won't change your life, but it will {brighten a wet afternoon|make you smile more than once|keep "
    "the children happy until supper}.",
    "I enjoyed the {mystery|bickering|cooking} more than I expected to.",
    "A solid {thriller|weepie|monster movie} with one or two {genuine surprises|first-rate scenes|nicely "
    "drawn characters}.",
    "The {car chases|dance numbers|courtroom scenes} are handled with {skill|flair|care}, and the "
    "{romance|banter|ending} is better than it needs to be.",
    "It begins as the kind of {culture-clash comedy|small-town mystery|boarding-school story} you could "
    "write on a beer mat, but the {actors are so good and the details so fresh|dialogue is so sharp and the "
    "rain so convincing|children are so natural and the teachers so odd} that you soon stop minding.",
    "Hardly a masterpiece, but {good company|decent fun|well worth a matinee}.",
    "The {film stumbles in the middle|director stumbles in the last act|script stumbles over a subplot "
    "about a bank}, yet there is enough {warmth|wit|tension} here to {make you forgive it|make up for the "
    "lapse|keep you on its side}.",
    "It is {refreshing|nice|good} to see {a teen comedy|a spy film|a sports picture} that treats its "
    "{audience with respect|characters with affection|women with intelligence}.",
    "Sweet without being {sticky|silly|soppy}, and {short|modest|smart} enough not to outstay its welcome.",
    "{Competently told and warmly acted|Neatly plotted and nicely cast|Briskly paced and well sung}, this "
    "is {a modest success|a satisfying evening out|an easy film to like}.",
    "The {first hour is excellent; the rest is merely good|middle third is terrific; the rest is fine|last "
    "half hour is very funny; the rest is pleasant}.",
    "Despite {some creaky effects|a clumsy flashback or two|a villain made of cardboard}, {the story "
    "grips|the humour comes through|the emotions ring true}.",
    "I can think of worse ways to spend {a Sunday|two hours|an evening} than in the company of {these "
    "amiable crooks|this odd little family|three retired pilots}.",
    "{Worth seeing|Worth a look|Worth the fare}, mainly for {the landscapes|Beatrix Onslow's sharp turn as "
    "the landlady|its cheerful refusal to hurry}.",
    "A {smart update of an old fairy tale|gentle update of a stage farce|lively update of a legend}, {let "
    "down only by its final scene|if a bit too tidy|with a few jokes that miss}.",
    "There's real {feeling in the scenes between father and daughter|craft in the scenes between the two "
    "brothers|tension in the scenes between hunter and hunted}.",
    "Its heart is in the right place, and, {for the most part|more often than not|most of the time}, so {is "
    "its camera|are its jokes|is its sense of timing}.",
    "{Fans of the genre|Dog owners|Anyone who has worked in a kitchen} will find plenty to {enjoy|chuckle "
    "at|recognise}.",
    "The {director has clearly watched a lot of better films, but she has watched them well|script owes a "
    "good deal to better plays, but it pays its debts with interest|composer has heard a great many better "
    "scores, but he borrows with taste}, and by the time the {storm broke|guests sat down|band struck up} I "
    "was too {caught up|amused|cheerful} to keep count.",
    "Quietly {absorbing|affecting|amusing}, even when {nothing much happens|the plot wanders|you can see "
    "where it is going}.",
    "The best thing in it is {the rain|a talking crow|the landlord's awful poetry}, but the second and "
    "third best are good too.",
    "Director {Corwin Pell|Sunniva Dahl|Hector Abreu} keeps things {moving|light|tense}, and that is "
    "{enough|more than most manage|half the battle won}.",
    "You could drive a truck through the {plot|science|alibi}, but {it's a fun ride|I had a good time|you "
    "may be laughing too much to notice}.",
    "A {film of small pleasures|story of small victories|drama of small kindnesses}, honestly "
    "{made|earned|observed}.",
    "{Funnier than the last one|Tighter than the book|Livelier than most biographies}, if never quite {as "
    "wild as it thinks|as deep as it could be|brilliant}.",
    "The {songs are lovely, the dialogue slightly less so|effects are lovely, the pacing slightly less "
    "so|period details are lovely, the leading man slightly less so}, and I came out {smiling|content|glad "
    "I went}.",
    "It may be {old-fashioned|predictable|sentimental}, but old tricks done {well|cleanly|with love} still "
    "work.",
    "What it lacks in {originality|budget|polish} it makes up for in {energy|charm|sincerity}.",
    "An {engaging portrait of a chess hustler|intriguing look at life on a ferry|offbeat and rather winning "
    "tale of rival bakers}.",
    "I laughed {more than I winced|quite a lot|out loud three times}, which, for {a parody|an airport "
    "comedy|a film about divorce}, is a good result.",
    "{Yusuf Harrow and Delphine Marsh|The two grandmothers|The mismatched detectives} make a "
    "{winning|touching|delightful} pair.",
    "Though {the twist is visible from a mile off|it borrows from everyone|the budget shows}, getting there "
    "is {fun|a pleasure|enjoyable enough}.",
    "Handsome, well {paced|acted|built} and only a bit too {safe|chilly|solemn}.",
    "It wins your {attention|sympathy|trust} early and mostly keeps it.",
    "Give it {twenty minutes|a chance|time} and it {grows on you|repays you|gets under your skin}.",
    "Nothing in it is {new|surprising|spectacular}, and a {sterner editor|stingier producer|braver "
    "director} would have {dropped the balloon ride|sent the cousins home|cut the speeches}, but the two "
    "old friends at its centre are such {good value|easy company|fun} that I'd gladly follow them {to "
    "another film|on another trip|anywhere}.",
    "This is the rare {remake that has a reason to exist|prequel that improves on its model|franchise entry "
    "that leaves you looking forward to the next one}.",
    "Nobody will call it {profound|daring|art}, and nobody will be {bored|sorry they came|looking at the "
    "clock} either.",
    "The {script finds humour in unlikely places|camera finds beauty in laundromats and bus stops|cast "
    "finds dignity in people films usually ignore}.",
    "{A few loose ends aside|Leaving aside a rushed finale|Once you get past the narration}, this is {a "
    "well-made mystery|a strong piece of work|an appealing adventure}.",
    "The children around me {loved it|were rapt|sang along}, and the adults {weren't complaining|laughed "
    "nearly as often|seemed happy enough}.",
    "{Good, clean, slightly silly fun|Good old-fashioned scares for the most part|Good company for a long "
    "flight}.",
    "The {stunts impress|puppets amuse|ghosts startle}, but it's the {friendship|small talk|silences} that "
    "{stayed with me|won me over|make the film}.",
    "In a {summer of noise|season of gloom|year of sequels}, a film this {modest|cheerful|sane} is welcome.",
    "It made me want to {call my brother|learn the cello|visit Portugal}, and that counts for something.",
    "{Clever|Spirited|Tender} enough to overcome {its low budget|a shaky premise|an intrusive score}.",
    "Though I prefer {her earlier work|the stage version|my horror nastier}, there is much here to "
    "{admire|like|appreciate}.",
    "An {uneven film, but a good-hearted one|overlong film, but a rewarding one|untidy film, but a "
    "memorable one}.",
    "{Rollo Vance's dry delivery|Mireille Strand's steady gaze|Gus Pentland's bulldog face} lifts even the "
    "{weaker|corniest|flattest} scenes.",
    "No classic, then, but a {sturdy piece of entertainment|funny bit of nonsense|sincere piece of "
    "storytelling} that I'd {watch again|recommend to a friend|happily show my parents}.",
    "The {mystery|love story|feud} is resolved a little too {neatly|quickly|conveniently}, but it {held "
    "me|charmed me|kept me guessing} until then.",
    "{It's hard not to like a film with this much spirit|You'd need to be very grumpy to dislike these "
    "scruffy musicians|I found myself warming to a heroine this stubborn}.",
    "Manages to be {informative without lecturing|frightening without gore|romantic without violins}.",
    "As {comfort food goes|holiday entertainment goes|late-night thrillers go}, this is {tasty|superior "
    "stuff|pretty effective}.",
    "Some of the {gags|speeches|effects} could have been {sharper|trimmed|better}, but the {casting is "
    "right|tone is right|story holds up}.",
    "The {rivalry is well observed|romance is sweetly played|robbery is cleverly staged}, and the running "
    "time is {merciful|sensible|just right}.",
    "Sets itself {a small task and makes a good job of it|a single night and makes every hour of it "
    "count|one joke and gets a surprising amount out of it}.",
    "It isn't the {thrill ride|tear-jerker|scandal} the ads promise; it's something {quieter and more "
    "interesting|wiser|better}.",
    "I'd have liked {more songs|a bolder ending|less voice-over}, but I liked what I {heard|saw|got}.",
    "Even {sceptics|people who dislike golf|the squeamish} may find themselves {drawn in|moved|nodding "
    "along}.",
    "{Decent|Well-judged|Convincing} performances and {a strong sense of place|a good ear for gossip|one "
    "splendid storm} make up for the {slack pacing|stock characters|slightness of the tale}.",
    "A {warm film about growing old|wry film about second chances|perceptive film about neighbours}, and "
    "one that {trusts its audience|never talks down|knows when to stop}.",
    "For once the {sequel adds something|sidekick is actually funny|ending makes sense}, and the film is "
    "better for it.",
    "Flawed, yes, but {alive from start to finish|never boring for a moment|interesting to the end}.",
    "The {Lisbon|Antarctic|night-market} scenes are {a treat|beautifully shot|delightful}; {the rest passes "
    "the time nicely|the plot does no harm|the others are quite good too}.",
    "Somewhere between {a sitcom and a poem|farce and tragedy|a heist and a holiday}, and {surprisingly "
    "enjoyable|oddly touching|pretty good} as both.",
    "A {crowd-pleaser|period piece|horror comedy} that is {not ashamed to please|light on its feet|smarter "
    "than it lets on}.",
    "What might have been {a lecture|a gimmick|a soap opera} turns out {lively and humane|to be rather "
    "moving|funny and well paced}.",
    "It {drags now and then|preaches here and there|winks once or twice too often}, yet I was {sorry to see "
    "it end|a little sad to leave these people|reluctant to go}.",
    "With {a better villain|a shorter first act|stronger jokes} it could have been great; it is still "
    "{good|very watchable|a nice surprise}.",
)

VERY_POSITIVE = (
    "{Funny, frightening and finally heartbreaking|Quiet, exact and devastating|Sly, tender and wildly "
    "inventive}, this is the finest {western|first feature|family drama} I have seen in a decade.",
    "I came out {walking on air|unable to speak|grinning like a fool} and went straight back in for the "
    "{late|next|evening} showing.",
    "There isn't a {wasted frame|false note|slack minute} in {its three hours|the whole enterprise|any of "
    "its seven chapters}.",
    "{Odalys Brandt|Tomas Reinholt|Perpetua Lane} gives a performance that {drama schools will be "
    "dissecting for decades|should end every argument about awards before it starts|leaves you wondering "
    "where on earth she has been hiding}.",
    "A {ghost story|courtroom thriller|road movie} so perfectly made that you {forget to breathe|forgive "
    "the whole genre its sins|want to thank somebody}.",
    "See it on the biggest screen you can find, because {those desert storms|the battle on the ice|that "
    "opening flight} will never look this {magnificent|terrifying|alive} on a phone.",
    "The final {ten minutes|reel|duet} reduced {a room full of jaded critics|my entire row|two hundred "
    "teenagers} to happy tears.",
    "Rarely has {grief been turned into something this funny|boredom been turned into something this "
    "gripping|a failing marriage been turned into something this beautiful}.",
    "A masterpiece, and I do not {use the word lightly|expect to see another this year|care who laughs at "
    "me for saying so}.",
    "For {two hours and ten minutes|three hours|ninety minutes} I forgot {my aching knees|my mortgage|the "
    "man with the crisps beside me}, my deadline and my name, and when it ended I wanted to {kiss the "
    "projectionist|stand on my seat and sing|thank every person in the credits one by one}.",
    "{Elspeth Okoro|Juno Valdery|Marguerite Sloane} directs as though {cinema had been invented last week "
    "and she owned the patent|nobody had ever filmed a kiss before|she had been waiting her whole life for "
    "this story}, and the result is {electrifying|ravishing|magnificent}.",
    "{The dialogue crackles|The jokes land|The songs soar}, the cast is flawless, and the ending is "
    "{braver|sadder|cleverer} than anything the big studios have dared this year.",
    "Not since I was a child have I been so completely lost in {a sea adventure|an animated world|a pack of "
    "wolves and their winter}.",
    "It took {eleven years|half a lifetime|nearly two decades} to get this {epic|musical|script} made, and "
    "every second of the wait was worth it.",
    "{Fierce|Gorgeous|Hilarious}, and as close to perfect as {a film about accountants|a swordfight "
    "picture|a sequel} is ever likely to get.",
    "I would not change {a single cut|one line of it|so much as a lampshade}.",
    "{Grim, exhausting and absolutely unmissable|Brutal, tender and utterly essential|Bleak, beautiful and "
    "impossible to forget}.",
    "The {chase across the rooftops|ten-minute dinner scene|silent prologue} alone is worth {the ticket|a "
    "trip across town|a year of other releases}, and the rest is even better.",
    "{Children will adore it|Parents will weep|Grandparents will cheer}, and everyone will come home "
    "{humming|changed|talking of nothing else}.",
    "By turns {savage and merciful|playful and shattering|dreamlike and razor-sharp}, it is the rare "
    "{satire|musical|thriller} that gets everything right.",
    "I have now watched it {four times|twice in one weekend|with three different audiences}, and it only "
    "grows {richer|stranger and lovelier|funnier}.",
    "{Bastian Crowe|Lucette Amari|Old Ferris Whitcombe} has never been better, which, given {that "
    "career|those early triumphs|forty years of great work}, is saying something extraordinary.",
    "Astonishing from first {shot|word|whisper} to last.",
    "Everything that {usually goes wrong with films like this, the speeches, the coincidences and the "
    "sugar|sinks the average biography, the solemnity, the wigs and the hindsight|is tiresome in fantasy, "
    "the maps, the prophecies and the made-up swearing}, is simply absent here; what remains is {pure "
    "gold|a revelation|magnificent}.",
    "The year's most {exciting|humane|original} film was made for {the price of a used car|almost nothing "
    "in somebody's barn|less than one superhero's cape}.",
    "You will laugh until {it hurts|the people behind you complain|you slide off your seat}, and then the "
    "{last letter|hospital scene|empty chair} will break your heart.",
    "Even the {opening titles are|bit players are|subtitles seem} touched by genius.",
    "A {thriller|romance|fable} this {smart|alive|generous} makes almost everything else in theatres look "
    "half asleep.",
    "It has {the sweep of a great novel|the punch of a great short story|the ache of a great song} and not "
    "an ounce of {fat|vanity|sentimentality}.",
    "I expected {a toy commercial|a dutiful biography|homework}; I got the {wittiest|most passionate|most "
    "thrilling} picture of the year.",
    "Nobody who {loves dancing|has ever had a sister|grew up by the sea} should be allowed to miss this "
    "glorious film.",
    "{Wren Talloway's|Isolde Marchetti's|Dov Lindqvist's} photography is so {ravishing|luminous|lush} that "
    "I wanted to {hang every frame on a wall|live inside it|applaud the clouds}.",
    "A triumph on every level, right down to the {wallpaper|doorbells|dog}.",
    "This is how {suspense|slapstick|a love story} should be done: {no tricks, no padding, no mercy|fast, "
    "fearless and beautifully timed|simply, honestly and with your heart in your mouth}.",
    "{The two leads|Those extraordinary child actors|The ensemble of unknowns} could {make a phone book "
    "sing|charm the paint off a wall|read out a gas bill and hold me spellbound}, and the script is "
    "brilliant besides.",
    "Forget the {silly title|dreadful trailer|dull poster}: this is {magic|pure delight|a classic in the "
    "making}.",
    "I have never heard an audience so {silent|happy|shaken} as when {that final door closed|the lights "
    "came up|the sisters met again}.",
    "Breathtaking in {ambition|scale|simplicity}, and more breathtaking still in {its tenderness|its small "
    "kindnesses|what it asks of us}.",
    "No other {film|war picture|documentary} has understood {fathers and sons|fear|the sea} half so well, "
    "or said so with such {grace|power|wit}.",
    "It is the sort of {comedy|epic|fairy tale} they said nobody could make any more, and it is "
    "{sensational|perfect|a wonder}.",
    "I could tell you about the {performances, which are faultless|photography, which is out of this "
    "world|script, which is a thing of beauty}, or the {ending, which undid me|music, which I cannot get "
    "out of my head|last shot, which I shall take to my grave}, but I'd rather you {closed the paper and "
    "ran to see it|found out for yourself tonight|just went}.",
    "{A bold|A delirious|An exquisite} piece of work that earns every one of its {standing "
    "ovations|tears|five stars}.",
    "My notebook stayed {empty|shut|in my bag}, because I could not look away for a single "
    "{second|frame|breath}.",
    "{Witty beyond words|Tense beyond endurance|Lovely beyond description}, it sent me home certain that "
    "{movies are alive and well|I had seen a future classic|nothing better would open this year}.",
    "Drop everything and {go and see it|find a cinema that is playing it|take the person you love best to "
    "see it}.",
    "How does {a film with no dialogue|a story about two old clerks|a cartoon about moss} manage to be the "
    "most {thrilling|romantic|moving} thing on any screen?",
    "{Harrowing|Merciless|Bleak} as it is, this is {a great film|essential viewing|a towering achievement}, "
    "and I am grateful to have seen it.",
    "The {villain|heroine|grandmother} is one of the great {screen creations|characters of modern "
    "cinema|comic inventions}, and {Cosima Hale|Petra Dunmore|Agnes Bellweather} plays her to the hilt.",
    "{Rich|Radiant|Riotous} and endlessly surprising, it puts {Anselm Roe|Bettina Kestrel|this young "
    "director} among the very best storytellers at work today.",
    "I could pick holes in the plot, but why would I, when {every scene sings|I have not been this happy in "
    "a cinema since childhood|the whole thing soars like this}?",
    "The sequel nobody asked for turns out to be {a dazzling, deeply felt wonder|an instant classic|better "
    "than the original in every way}.",
    "If there is any justice, {this little miracle|Halvard Finch's masterpiece|this joyous, furious "
    "musical} will be {remembered long after the blockbusters are forgotten|showered with prizes|on every "
    "screen in the country by spring}.",
    "There are {action scenes|silences|punchlines} here that will be {studied|stolen|imitated} for years, "
    "and {feelings|faces|ideas} to match.",
    "A love letter to {libraries|bad weather|small towns} that is itself {impossible not to adore|utterly "
    "lovable|a thing to cherish}.",
    "It does what only the greatest {horror films|comedies|dramas} can: it {makes the ordinary "
    "terrifying|makes you ashamed of laughing and laugh anyway|sends you out kinder than you came in}.",
    "{Stunning|Superlative|Sublime}, and I cannot {recommend it highly enough|stop thinking about it|praise "
    "it too much}.",
    "The {script|cast|score} is a marvel, the {pacing|design|direction} is immaculate, and the whole is "
    "{somehow greater still|overwhelming in the best sense|a privilege to watch}.",
    "Two and a half hours flew by like {twenty minutes|a good dream|nothing}, and I would happily have "
    "stayed for {five more|another two|as long again}.",
    "{Ottoline Grey|Kaspar Munro|Thandi Oyelaran} makes {loneliness|goodness|wickedness} so "
    "{vivid|fascinating|delicious} that nobody else on screen this year comes close.",
    "Everything {the first film hinted at|that great novel promised|the festival rumours claimed}, this "
    "{follow-up|adaptation|drama} delivers, and with interest.",
    "You won't see a {more inventive|braver|more heartfelt} film this year, {or next|nor a better acted "
    "one|no matter how hard you look}.",
    "Absolutely wonderful, from {costumes|stunts|script} to {closing credits|music|casting}.",
    "I went in {tired|sceptical|grumpy} and came out {in love with it|converted|evangelical}: an absolute "
    "gem.",
    "Make room on the shelf beside {the great westerns|the immortal comedies|your favourite films}; this "
    "one belongs there.",
    "The {robot|monster|orphan} at its centre never says a word, and I have not been so "
    "{moved|enchanted|shaken} by a performance in years.",
    "{I feared the worst and saw the best|I dreaded it and worship it|I went reluctantly and floated home}: "
    "{a flat-out marvel|not a flaw in it|the film of the decade}.",
)

LABELS = (VERY_NEGATIVE, NEGATIVE, NEUTRAL, POSITIVE, VERY_POSITIVE)
FRAMES = tuple(frame for frames in LABELS for frame in frames)


def compose() -> tuple[list[Row], list[Row]]:
    """Training and dev rows: of each label's frames, every third one belongs to dev."""
    train, dev, index = [], [], 0
    for label, frames in enumerate(LABELS):
        for place, frame in enumerate(frames):
            split = dev if place % 3 == 2 else train
            split += [((text,), label, index) for text in fill_slots(frame)]
            index += 1
    return train, dev
