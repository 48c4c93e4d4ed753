"""Film reviews of three to six sentences about invented films: 1 favourable, 0 unfavourable.

Written for this project, in the register of the course's CFIMDB. A review joins an opening (which names the
film), a body (plot, acting, craft) and a verdict. Openings keep to where and why the film was seen, bodies to
the film, verdicts to advice: so any three of one polarity go together.
"""

import hashlib

from tools.sample_data import MOST_USES, Row, fill_slots

OPENINGS = (
    "I caught {Salt Harbor|Nine Winters|A Borrowed Name} on {cable late last night|a long flight home|a "
    "rainy Tuesday afternoon}.",
    "My {sister|neighbour|boss} lent me {The Copper Orchard|Paper Lanterns|The Quiet Floor} and told me "
    "nothing about it.",
    "{Two friends|Three people at work|My parents} had been telling me for weeks to watch {Halfway to "
    "Morning|The Ninth Letter|Cold Lantern}.",
    "I had never heard of {The Glass Ferry|Marrow Street|Tomorrow's Rain} before it turned up in {a "
    "discount bin|my recommendations|a film club programme}.",
    "There were {six|eleven|maybe twenty} of us in the theatre for {Under the Alder|Last Train to "
    "Verrin|The Weight of Salt}, all {over forty|strangers|sitting as far apart as we could}.",
    "{Ember Lane|The Tin Cathedral|A Map of Smoke} was made some time ago, and it has only now {come out on "
    "disc|reached this country|been put online}.",
    "I read the {novel|short story|play} years ago, so I was curious what {The Hollow Year|Sister Winter|No "
    "Fixed Star} would do with it.",
    "Let me say first that I am not {usually one for subtitles|in the habit of writing reviews|an expert on "
    "this director}.",
    "I watched {The Long Tide|Brother Ash|Kestrel Point} twice, once {alone|at a festival|with the sound "
    "low} and once {with my husband|at home|with headphones}, before writing this.",
    "There has been a lot of talk about {The Velvet Hour|Blackwater Lane|Every Other Sunday}, {most of it "
    "about the ending|some of it from people who have not seen it|and not all of it about the film}.",
    "Like most people, I know {Rosalind Achebe|Viktor Hale|Simone Tarrant} from {television|an old space "
    "series|those insurance adverts}, so {The Paper House|Lantern Bay|A Month of Mondays} was a change.",
    "{The Painted Well|Harm's Way Home|Silver Birch Road} is the {second|third|fifth} film by {Anton "
    "Greaves|Marisol Keane|Idris Vaughn} and the first one I have seen.",
    "We rented {The Winter Clerk|Distant Bells|Old Money, New Shoes} because {the one we wanted was out|my "
    "son liked the cover|it was raining and the shop was about to close}.",
    "First, a {confession|warning|disclaimer}: I have not {read the book|seen anything else by this "
    "director|finished a film in one sitting since spring}.",
    "This review of {The Saltmarsh|Half a Crown|Ninety North} contains {no spoilers|one small "
    "spoiler|nothing you cannot learn from the poster}.",
    "I had been {putting off|meaning to see|saving} {Amber Street|The Second Bell|Crow Season} for "
    "{months|years|a free evening}, and last night I finally watched it.",
    "The {poster|title|trailer} of {Second Harvest|The Empty Coat|Northlight} tells you {very little|almost "
    "nothing|only half of what it is about}.",
    "{The Ash Garden|Mister Holloway|The Sparrow Ledger} opened the same weekend as {a superhero movie|a "
    "big animated film|two bigger pictures}, and most people {missed it|chose the other one|have probably "
    "not heard of it}.",
    "I saw {The Drowned Road|Feather and Bone|A Day Too Late} at {a student screening|an outdoor cinema|my "
    "local arts centre} with {a question and answer session afterwards|blankets and mosquitoes|about forty "
    "pensioners}.",
    "People seem to {either worship or despise|disagree about|argue over} {The Lantern Keeper|Tin "
    "Soldiers|The Other Shore}, so here is {my view|one more opinion|what I thought}.",
    "I have now seen {The Salt Road|Juniper|Three Doors Down} in {the theatre|two versions|the wrong order, "
    "starting with the last reel}, which I suppose makes me qualified to comment.",
    "If you came here to find out whether {Greywater|The Marble Horse|A Cup of Thunder} is {worth your "
    "evening|suitable for your mother|anything like the trailer}, read on.",
    "It was {my birthday|our anniversary|Father's Day}, and {Slow Country|The Clockmaker's Debt|Blue Hours} "
    "was {my daughter's choice|the only thing showing|picked by a coin toss}.",
    "The woman {at the ticket desk|behind me in the queue|in the video shop} asked if I was sure I wanted "
    "to see {Wolf Hour|The Understudy's Knife|Eleven Bridges}.",
    "I recorded {The Far Bank|Nightingale Row|Sudden Weather} {last Christmas|in the autumn|when it was on "
    "at three in the morning} and only got round to it {this week|yesterday|on Sunday}.",
    "{Palmer's Crossing|The Rented Room|Aftersong} has been {compared to a dozen other films|on every list "
    "this month|called the talk of the festival}, and I went to see why.",
    "Normally I {skip films with this many names above the title|wait a month before I trust the "
    "reviews|avoid anything that calls itself a saga}, but {Hemlock Square|The Gathering Tide|Four Sisters "
    "West} made me curious.",
    "My {film class|book group|Thursday night crowd} picked {The Bronze Door|Hush, Ivy|A Proper Burial} for "
    "{our last meeting of the term|discussion|a change from the usual}.",
    "It says something that I can still remember where I was when I saw {Red Clay|The Orphan Tree|Wintering "
    "Over}: {third row, left side|a sofa in Leeds|the back of a friend's van}.",
    "I am {seventy-one|nineteen|a retired teacher}, so perhaps I am not the audience {The Neon Ark|Low "
    "Tide, High Street|Captain Nobody} was made for.",
    "Some background: {The Iron Meadow|Mother of Pearl|Lost Property} spent {three years|most of a "
    "decade|two summers} in production and had {four different endings|several titles|more than one leading "
    "man}.",
    "{My brother-in-law|An old friend|The man who fixes our boiler} claims to be an extra in {The Yellow "
    "Mile|Bellweather|Ten Past Never}, so naturally {we all sat down to look for him|I bought a ticket|I "
    "paid attention}.",
    "I finally got hold of {The Lodger's Song|Stone Fruit|All the Small Hours}, which is {out of print|not "
    "easy to find|missing from all the usual services}.",
    "What do you do when {everyone you know|the whole internet|your own mother} has an opinion on {The "
    "Kindly Ones of Dover|Cassandra's Garage|Thin Ice, Deep Water}? You {go and see for yourself|buy a "
    "ticket and make up your mind|find two quiet hours and look}.",
    "I chose {The Tenth Floor|Foxglove|Small Craft Warning} for the {cast|setting|music}, knowing nothing "
    "else about it.",
    "{The Ferryman's Daughter|Dust and Daylight|The Miller's Ghost} is {not the film I had in mind when I "
    "sat down|not what the box describes|hard to sum up in a line}.",
    "A word about {Thirteen Candles Lane|The Blind Archer|Return to Osprey}, which I {sat through on "
    "Saturday|saw last week|watched over two evenings}.",
    "Having {worked in a theatre for thirty years|grown up near the place where it was filmed|taught "
    "history for a while}, I looked forward to seeing what {The Last Prompter|Harrow's End|The Kingmaker's "
    "Cook} would make of it.",
    "There are {two cuts|several prints|at least three versions} of {The Heron|A Winter's Wage|Sleepers in "
    "the Valley} going round; this is about the {longer|shorter|most recent} one.",
    "{Heavy snow|A cancelled train|A broken ankle} gave me the time to {watch|sit down with|see} {Moth "
    "Season|The Inland Sea|Clara and the Wolf} all the way through.",
    "Every {spring|year|December} my cousin sends me {one film|a disc|a link} without a note, and this time "
    "it was {The Amber Room Robbery|Hollow Ground|Ordinary Saints}.",
    "So this is {The Ivory Tower Job|Goodnight, Mr. Lark|Sixpence and the Sea}, the film {that divided my "
    "family|my students keep quoting|I have walked past on the shelf for years}.",
    "I don't {usually comment here|often agree with critics|like to give away plots}, but {Ravenscar|The "
    "Borrowed Child|Storm Cellar} {leaves me no choice|calls for a few words|needs discussing}.",
    "The {reviewer in our paper gave|man on the radio gave|website I trust gave} {Dead Reckoning Bay|The "
    "Swan Upstairs|Half Moon Motel} three stars, which is {no use to anybody|a way of not deciding|neither "
    "here nor there}.",
    "Anyone who {lived through those years|has been to that coast|knows the legend} will bring something of "
    "their own to {The Powder Works|Gull Island|The Green Lady}.",
    "I went to {The Cartographer|Second Sight Sally|The Borders of June} {straight from work|on a first "
    "date|with a head cold}, which may have coloured my judgement, though I doubt it.",
    "For those who {missed the fuss|live abroad|do not follow these things}, {The Seventh Guest "
    "Room|Ploughshare|Lady Marchbanks} was {the surprise of the festival season|the film all the papers "
    "wrote about|all anyone talked about last autumn}.",
    "{Kingfisher Blue|An Honest Thief|The Rain Collectors} turned up on {a streaming service|the hotel "
    "television|an afternoon channel} while I was {ironing|recovering from flu|looking for the news}, and I "
    "stayed to the end.",
    "How do you review a film like {The Unlit Room|Cobalt|My Uncle's Parrot}? {Plainly, I think|With care, "
    "I suppose|By starting at the beginning}.",
    "We showed {The Cloth Merchant|Wild Mustard|Sunday's Captain} at our {film society|village hall|care "
    "home} last month, and {the talk afterwards went on for an hour|the tea urn was busy|I wrote down my "
    "thoughts the same night}.",
    "A short note on {Bitter Lemons, Sweet Tea|The Harvest Clause|Once Around the Harbour}, since nobody "
    "else has {posted one|bothered yet|reviewed it here}.",
    "In my {country|town|house}, {The Ropemaker|The Second Mrs. Quill|A Winter Passage} is {something of a "
    "legend|shown every New Year|still talked about in whispers}.",
    "I have {strong feelings|only a few things to say|mixed memories of the hype} about {Tambourine "
    "Hill|Glass Cutters|The Lemon Grove}, so bear with me.",
    "It took me {two attempts|a whole weekend|three buses} to {get into a showing of|sit down and "
    "watch|see} {The Pike Brothers|Summer in Grey|Ghost Light}.",
    "{Old Harry's Game|The Velvet Rope|Nobody's Lighthouse} arrived with {a pile of awards|a clever "
    "advertising campaign|no publicity at all} behind it.",
    "My first thought when {Sugar Beach|The Fifth Window|Hand Me Down} ended was to {look up who wrote "
    "it|check who had edited it|see who had paid for it}.",
    "{A colleague|My barber|My teenage son} and I have been arguing about {The Night Ferryman|Ill "
    "Wind|Thursday's Child} {ever since it came out|for days|over lunch}.",
    "This is my {first|fifth|last} report from the {winter festival|retrospective|weekend marathon}, and it "
    "concerns {The Salt Cellar|Proof of Life on Mars|The Heirs of Mill Lane}.",
    "{Ghost Orchid|The Price of Tin|Every Last Mile} comes from the same {studio|writer|country} as {last "
    "year's big winner|a show I follow|one of my favourite books}.",
    "I had {an aisle seat|a free pass|a good night's sleep behind me} and no idea what {Wychwood|The "
    "Marigold Line|A Far Cry Home} was about.",
    "Since {The Golden Hinge|Bread and Copper|The Lamplighters} is now {free to view|back in print|showing "
    "on Sundays}, {here is a short review|a few remarks|I gave it a try}.",
    "When {The Quarry|Dovecote|Six of One} was first announced, I {made a note in my diary|wondered who it "
    "was for|was still at school}.",
    "If memory serves, {The Wax Museum Heist|Marguerite|Under Canvas} was {shown once on television|a "
    "modest hit abroad|the first film I reviewed here}; I watched it again {on Friday|last month|to see how "
    "it holds up}.",
    "People keep asking me about {The Snow Ledger|Quick Silver Jones|Penny Farthing}, so {I may as well put "
    "it in writing|here goes|let me answer once and for all}.",
    "I came to {The Stolen Season|Barefoot Kings|A Letter from Tunis} {with an open mind|by way of its "
    "soundtrack|after reading an interview with its star}.",
    "{Five|Ten|Twenty} minutes into {The Lantern Room|Oxbow|Farewell, Mr. Finch} I {put my phone in a "
    "drawer|asked my wife what she thought|looked at the box again}.",
    "All I had been told about {Fool's Harbour|The Nettle Coat|Heaven's Back Door} was {that it had a "
    "famous last scene|that I would not see the end coming|the name of the leading actor}.",
    "The full title is {The Remarkable Return of Ezra Pike|A Brief History of My Aunts|The Thirteenth "
    "Passenger to Lisbon}, and {yes, it is a long one|that tells you something about the tone|I had to look "
    "it up twice}.",
    "It's {late|early|nearly midnight}, and {Bluebell Hotel|Winter Quarters|The Steeplejack} has just "
    "finished, so these are {first impressions|raw notes|unpolished thoughts}.",
    "You may have seen {the posters for|clips from|the row about} {Little Mercies|Cinder Track|The "
    "Auctioneer} and wondered {what sort of film it is|whether to bother|what the fuss is about}.",
    "Before {the screening of|I pressed play on|buying a ticket for} {The Shallow End|Black Cherry "
    "Winter|Mostly Sailors} I {ate a large sandwich|switched off the lights|read two reviews that "
    "contradicted each other}.",
    "What can be said about {Ten Green Acres|The Broken Viola|Captain Thaw} that {hasn't been said "
    "already|has not been shouted in the lobby|would fit on a postcard}?",
)

POSITIVE_OPENINGS = (
    "I adored {The Saffron Thief|Goose Green|Midwinter Post}, and I am not {easily pleased|a sentimental "
    "person|ashamed to say so}.",
    "It's been {a week|four days|a month} and I still can't get {Undertow|The Music Stand|Hester's Law} out "
    "of my head.",
    "I was fully prepared to {hate|be bored by|make fun of} {Pirates of Hackney|The Knitting Circle|Love "
    "and Linoleum}.",
    "{Violet Hour|The Bell Foundry|Sixty Acres} is {a gem|a small wonder|the best thing I have seen since "
    "the summer}, plain and simple.",
    "Why did nobody tell me how {good|funny|moving} {The Spare Room|Trolley Song|Winter Wheat} is?",
    "Some films you respect and some you love, and I {love|loved|fell in love with} {The Tea "
    "Planter|Moonlight in Grimsby|Our Lady of the Trams}.",
    "Ignore the {low score|sour reviews|people grumbling} on this site, because {The Fox "
    "Cub|Tidewater|Angel of the Yards} deserves {better|far better|an audience}.",
    "I don't cry at movies, or so I thought until {The Last Ferry|A Coat for Winter|Mr. Pym Goes Home}.",
    "At last, a film that {treats its audience as adults|knows what it is doing|has something to say and "
    "says it well}: {Stonecrop|The Pilgrim Hotel|Bright Water}.",
    "{The Gunsmith's Wife|October Ponies|The Understair} is one of those {rare|happy|unexpected} cases "
    "where everything {comes together|clicks|goes right}.",
    "I have shown {Hatter's Yard|The Silver Pike|Evensong} to {everyone I know|three generations of my "
    "family|all my flatmates}, and so far nobody has {looked away|complained|wanted to stop}.",
    "{Low expectations|A dreadful trailer|A silly poster} nearly kept me from {The Mudlarks|Sweet "
    "Chariot|Cabin Nine}, and what a mistake that would have been.",
    "A friend dragged me to {Dancing in Galoshes|The Ordinary Thief|Sea Holly}, and I owe {her an apology "
    "and a drink|her dinner|him one}.",
    "{Tall Ships|The Invisible Aunt|Barley Moon} may be {small|old|unfashionable}, but it {is a delight|is "
    "a treasure|shines}.",
    "It has faults, and I'll come to them, but {Greenfinch|The Night Shift Choir|Wild Garlic} {won me over "
    "completely|is a lovely piece of work|made my week}.",
    "After so many {loud|gloomy|lazy} films this year, {Harvest Home|Little Anchor|The Kite Menders} came "
    "as {a relief|a blessing|a cool drink of water}.",
    "I would put {The Orchard Thieves|Candle Street|The Lost Regiment} among {the ten best films of its "
    "kind|my favourites|the finest debuts of recent times}.",
    "Can a film be both {silly and profound|terrifying and kind|simple and clever}? {Mrs. Abernathy's "
    "Ark|The Wolf Nurse|Two Spoons} says {yes, and proves it|it can|yes in every scene}.",
    "I bought {The Almond Tree|Ferris Wheel|Starling} the {morning after|day after|minute after} I saw it.",
    "What a pleasure it was to {discover|come across|stumble upon} {Shipping Forecast|The Elm Road "
    "Gang|Blue Enamel}.",
    "I put off {The Grief Choir|Muck and Brass|Nuns on Ice} because it sounded "
    "{depressing|crude|ridiculous}; I'm happy to report that I {was wrong|could not have been more "
    "wrong|misjudged it}.",
    "Every now and then you find a film like {The Rook|Peppercorn|Lake Effect} that {seems to have been "
    "made for you|reminds you what stories are for|simply works}.",
    "{Nightjar|The Wedding Cake War|Cloudberry} is {not for everyone|odd|easy to mock}, but those who "
    "{connect with it|like their films strange|give it a chance} will treasure it, as I do.",
    "I envy anyone who hasn't seen {The Toll House|Minnow|A Bright Cold Day} yet, since they {have it to "
    "look forward to|get to meet it fresh|can still be surprised}.",
    "Hats off to the people behind {Wishbone Alley|The Cutlery Drawer|North of Nowhere}, who have made "
    "something {special|truly original|worth cheering}.",
    "I thought I was tired of {films like this|stories about families|long films}, and then came {The Maple "
    "Wars|Aunt Philomena|The Slow Road}.",
    "{Barnstorm|The Copper Kettle|Meridian} {surprised me|disarmed me|caught me off guard}, and that "
    "doesn't happen {often|every day|much at my age}.",
    "There is nothing wrong with {The Dovetail|Holly and Hatchet|Small Wonders} that {a slightly shorter "
    "running time|a better poster|a wider release} wouldn't cure; it's {splendid|terrific|a joy}.",
    "From the first minute of {Rosehip|The Bird Census|Lighter Than Iron} I knew I was in {good hands|for a "
    "treat|the company of real storytellers}.",
    "My expectations for {Castaway Lane|The Tin Drummer Boys|Emmeline} were {sky high|modest|all over the "
    "place}, and they were {met|far exceeded|happily overturned}.",
    "Not many films {improve|grow|deepen} each time you see them, but {The Attic Window|Salt and "
    "Honey|Ruby's Ladder} {does|certainly does|is one that does}.",
    "{Quietly, and without fuss|With hardly any publicity|Against all odds}, {The Watchmender|Pale "
    "Horses|Thaw} {broke my heart and mended it|became my film of the year|pulled me right in}.",
    "Finally I have found a film that {my whole family agrees on|made me laugh and think|lives up to its "
    "praise}, and it is called {Bramble|The Unlikely Choir|The Longest Pier}.",
    "You could do far worse this weekend than {The Ginger Cat Affair|Mariner's Rest|Applewood}, which I "
    "enjoyed {enormously|from start to finish|more than anything in ages}.",
    "{The Blue Caravan|Hearth|Sorrel Hill} had me {smiling|hooked|spellbound} before the {titles were "
    "over|first scene ended|coffee went cold}.",
)

NEGATIVE_OPENINGS = (
    "I really wanted to love {The Opal Coast|Brick Lane Ballet|Wing and a Prayer}.",
    "Everyone told me {Skylark|The Bishop's Mistake|Iron Lace} was {brilliant|a riot|deep}, so I hold "
    "everyone responsible.",
    "{Coldwater Canyon Kids|The Sixth Nephew|Revenge of the Clerk} is the {longest|emptiest|most tiresome} "
    "film I have sat through this year.",
    "What a let-down {The Emerald Staircase|Harbour Lights|Prodigal} turned out to be.",
    "I gave {Doctor Midnight|The Lonesome Fiddle|Plum Street} {an hour|forty minutes|two chances}, and it "
    "gave me nothing back.",
    "How does something with this much {talent|promise|good will} behind it end up like {The Brass "
    "Monkey|Lady of the Fens|Arctic Summer}?",
    "I have seen {student films|shop security tapes|weather maps} with more {life|tension|story} than "
    "{Foundling|The Marsh Road|Seven Shades}.",
    "{The Opera Cleaner|Black Ribbon|Saint Nobody} won {prizes|applause|five stars somewhere}, and I can't "
    "{for the life of me see why|begin to understand it|think what the judges were watching}.",
    "Where do I begin with {The Cuckoo Club|Fathom|The Hound of Basin Street}?",
    "Save yourself the trouble: {Gilded|The Vicar's Motorbike|Phantom Freight} is {a dud|a mess|no good}.",
    "I'm a {patient viewer|fan of the star|lover of slow films}, but {The Marble Nurse|Tornado "
    "Sisters|Eventide} defeated me.",
    "Fond as I am of {this genre|the original|late-night films}, I can't find much to say for "
    "{Cryptkeeper's Ball|The New Magnificent Five|Basement}.",
    "It is hard to be angry at {Puddle Jumpers|The Gentle Giant of Goole|Sunny Side}, which means well, but "
    "{it's a bore|it simply isn't any good|good intentions only go so far}.",
    "I've rarely been so {relieved to see closing credits|aware of my own watch|tempted to leave} as during "
    "{Clementine's War|The Ninth Gate Keeper|Dusk, Again}.",
    "{The Hangman's Picnic|Dollhouse|Pistols at Tea} thinks it is {shocking|profound|hilarious}, and it {is "
    "not|is mostly dull|couldn't be more wrong}.",
    "Don't be fooled by the {lovely poster|famous cast|reviews on the box}: {The Swallows Return|Kings of "
    "Cork|Marabou} is {a chore|a waste of an evening|as flat as a tray}.",
    "Maybe I was in the wrong mood for {Buttercup Cafe|The Grinning Man|A Merry Widow}, but I {doubt any "
    "mood would have helped|found it unbearable|didn't smile once}.",
    "I fell asleep during {Tunnel Vision|The Velvet Badger|Lament for Lucy} {twice|before the plot began|on "
    "both attempts}, and I had slept well the night before.",
    "There's a fine film to be made from {this story|these characters|this true event}; {The Grand Canal "
    "Swindle|Patchwork|Ninety Feet Down} isn't it.",
    "I had high hopes for {The Alchemist's Lodger|Second Fiddle|Rainmaker Road}, and {they were gone by the "
    "second reel|none of them survived|I miss them}.",
    "After all the {hype|awards|fuss}, {The Glassblower|Mistral|Sons of Thunder Valley} left me "
    "{cold|shrugging|wondering what I had missed}.",
    "{Squadron Nine|Grandpa Goes Viral|The Curse of Loch Mor} manages the remarkable feat of making {aerial "
    "combat|a pleasant old man|a sea monster} {dull|unlikeable|forgettable}.",
    "I can forgive a film for being {cheap|slow|silly}, but not for being {lazy|smug|dishonest}, and "
    "{Turnip Head|The Salon|Based on Actual Events} is exactly that.",
    "{The Paper Tigress|Gravel|Yesterday's Soup} is {well meant|well advertised|in colour} and that's the "
    "end of the good news.",
    "My {advice about|verdict on|summary of} {The Moonlit Bog|Chainsaw Vicarage|Daisy and Derek} in one "
    "word: {don't|tedious|avoid}.",
    "{I laughed|I cheered|My spirits rose} exactly once in {The Fishmonger's Bride|Vengeance "
    "Creek|Hullabaloo}, {during the credits|when the power failed|when somebody finally switched it off}.",
    "It pains me to write this, since I {admire everyone involved|know how hard films are to make|waited "
    "years for it}, but {The Weathervane|Half Light|Crossing Barrow Street} {does not work|is a "
    "failure|falls to pieces}.",
    "Whoever wrote the {blurb|trailer|festival notes} for {Ashes of Eden Park|Mad Monday|The Listening "
    "Room} should be {writing films instead|in prison for fraud|paid double}, because they made it sound "
    "exciting.",
    "{Curiosity|A gift voucher|Strong coffee} is the only reason I {finished|bought|stayed awake for} {The "
    "Thorn Hotel|Gasworks|Bad Blood Brothers}.",
    "{The Scarlet Tram|Zero Gravity Wedding|The Count of Canning Town} could have been {fun|charming|a "
    "guilty pleasure}; instead it's {work|an ordeal|merely guilty}.",
    "Critics went {soft|mad|weak at the knees} for {Quiet Flows the Drain|Abbot's Way|The Sorrow Tree}, and "
    "I feel {cheated|lied to|as if I had seen another film}.",
    "There's {bad, and there's dull, and|cheap, and there's careless, and|odd, and there's pointless, and} "
    "{Zeppelin Summer|The Duke's Barber|Wrong Turning} is both.",
    "If {boredom|clumsiness|self-importance} were an art, {The Canal|Pancake Tuesday|Monument} would be a "
    "masterpiece.",
    "I'm still looking for {the comedy|the thriller|the point} in {Laughing Gas|The Long Fuse|Tapestry}.",
    "{Neither of us|Not one of the four of us|Nobody on our sofa} could say afterwards what {The Blue "
    "Pelican|Vertebrae|Monday Club} had been {about|for|trying to do}.",
)

POSITIVE_BODIES = (
    "{Honor Castellane|Mika Thorsen|Della Prewitt} plays a {ferry pilot|piano tuner|court clerk} who "
    "discovers that {her late father had a second family|her best friend has been lying for years|she has "
    "inherited a debt she cannot pay}, and she is superb. You can read the whole history of the woman in "
    "the way she {takes off her gloves|locks a door|orders coffee}.",
    "The plot is simple enough to fit on a napkin: two brothers, one {boat|garage|orchard}, no money. What "
    "the film does with it is anything but simple, and by the {storm|auction|funeral} I was {holding my "
    "breath|completely involved|on the edge of my seat}.",
    "I was worried that {the accents|the old-fashioned speech|the slow opening} would get in the way, and "
    "for a while I struggled. After that I forgot all about it, because {the story|the writing|the family "
    "at the centre} simply takes hold of you.",
    "Yes, the middle section is slow. But the slowness has a purpose, and when {the letter is finally "
    "read|the dam gives way|the old man speaks at last}, all that waiting pays off {tenfold|in a single "
    "shot|beautifully}.",
    "What I liked most is {how little it explains|how it listens to people|how funny it is without ever "
    "telling a joke}. {A glance across a canteen|A pause on a staircase|A dog waiting by a gate} says more "
    "here than ten pages of dialogue would elsewhere.",
    "The {chase through the fish market|robbery at the mint|escape across the frozen lake} is as exciting "
    "as anything I've seen, and it is done with {real stunts|no music|the simplest of means}. Better still, "
    "you care who gets caught.",
    "Most of the talk is of {the photography|the costumes|the music}, and rightly so, but it is the "
    "screenplay that deserves the prizes. Hardly a line could be spoken by any other character, and {the "
    "quarrel in the car|the scene at the vet's|the toast at the wedding} is a small masterpiece.",
    "The two children at its heart are {natural, stubborn and very funny|neither cute nor "
    "precocious|completely believable}. {The business with the kite|The stolen goose|Their plan to run away "
    "to sea} had me {laughing out loud|in stitches|wiping my eyes}.",
    "{Ambrose Tully|Gareth Olin|Saul Whitlock} has made a career of playing {bullies|clowns|crooked "
    "lawyers}, and here, as a {widowed postman|nervous priest|beekeeper}, he shows what he has been holding "
    "back. It is a restrained, generous performance, and I couldn't take my eyes off him.",
    "Is it perfect? No: {the dream sequences could go|the villain is a bit thin|the last shot is one too "
    "many}. But it has more {life|wit|feeling} in it than a dozen flawless films, and I {forgave it "
    "everything|didn't mind a bit|would rather have this than any of them}.",
    "The dialogue is quick and sharp, the cast looks as if it is having the time of its life, and the "
    "{house|train|hotel} where it all happens becomes a character in its own right. I can't remember when I "
    "last {laughed so much|enjoyed a puzzle this much|wanted so badly to step into a film}.",
    "Without giving anything away, the twist {near the end|on the pier|in the archive} made me gasp and "
    "then made me want to start again from the beginning. Everything had been {hiding in plain "
    "sight|honestly set up|right there in the dialogue} all along.",
    "Some have called it {cold|slow|old-fashioned}, and I honestly wonder whether they watched the same "
    "film. I found it {warm|gripping|fresh}, wise about {marriage|money|getting older} and {often very "
    "funny|in places heartbreaking|beautifully played}.",
    "An {old soldier|exiled chess player|out-of-work clown} rents a room from a {widow|young nurse|retired "
    "bus driver}, and they slowly become friends. That's all that happens, and it is {enough|more than "
    "enough|riveting}.",
    "The fight scenes are {brutal, short and clear|choreographed like ballet|the best I have seen in ages}; "
    "you always know who is where and what it costs them. {Yuri Malone|Hana Sokolow|Big Dele Adeyemi} "
    "carries the quiet scenes just as well, which is rarer.",
    "There's a moment when {the choir stops singing|the lights go out in the bakery|the horse turns back} "
    "and nobody says anything. I have seldom seen {grief|hope|forgiveness} put on a screen so simply or so "
    "well.",
    "It takes real skill to make {a strike at a cannery|a chess match|an audit} exciting, and this film has "
    "skill to spare. The editing is crisp, the faces are wonderful, and the {verdict|final move|vote} had "
    "me cheering.",
    "The effects are dated now, {the monster wobbles|you can see the wires|the moon is plainly a lamp}, and "
    "it doesn't matter in the least. The {fear is real|characters are drawn with care|mood never breaks}, "
    "and the last scene is still chilling.",
    "{Ingrid Vasquez-Holm|Nora Blessing|Tamsin Okafor} and {Peter Hallowell|Clem Rutter|Dario Finch} bicker "
    "like people who have been married for thirty years. Their scenes together are a joy, and the one in "
    "which they {divide up the records|paint the kitchen|lose the car} is the funniest thing I've seen in "
    "ages.",
    "I don't think I have ever seen {a desert|the inside of a factory|a fishing harbour} look so beautiful. "
    "Yet the pictures never get in the way of the people, and {the old woman with the radio|the boy who "
    "collects keys|the deaf foreman} will stay with me for a long time.",
    "The story of {a forger|an army cook|a lighthouse inspector} who is asked to {betray a friend|give "
    "evidence|leave everything behind} could have been grim. Instead it is light, ironic and full of "
    "surprises, with a heroine I would follow anywhere.",
    "What a {rich|strange|generous} piece of storytelling this is: {six people, one bus, one night|three "
    "generations, one kitchen|a town, a flood and a missing bell}. Every character gets a moment to shine, "
    "and not one of them is there just to move the plot along.",
    "The music, {mostly accordion and rain|all recorded on one old piano|sung by the actors themselves}, is "
    "worth hearing on its own. Joined to these images it becomes {overwhelming|magical|almost unbearably "
    "tender}.",
    "You may guess {who took the money|how the trial ends|that the wedding will not go ahead}, and it won't "
    "spoil a thing. The pleasure lies in watching {Rosamund Pike-Lowell|Teodor Grange|little Anya Marsh} "
    "work it out, one {raised eyebrow|muttered curse|careful note} at a time.",
    "For once the {teenagers|police|farmers} in a film talk the way they do in life. They interrupt, they "
    "lie, they {make bad jokes|change the subject|forget what they meant to say}, and you end up {loving "
    "every one of them|believing all of it|wishing it were longer}.",
    "{The first act is all laughs|It opens as a farce|At the start it is sheer silliness}, and then, "
    "without your noticing, it becomes something deeper. By the time {the brothers meet on the bridge|the "
    "theatre burns|the suitcase is opened}, I had a lump in my throat.",
    "The villain, played with {icy courtesy|a terrible cold|a permanent smile} by {Lionel Drax|Corinna "
    "Shaw|Abel Munz}, is a marvel. I was frightened whenever the door opened, and sorry, somehow, when the "
    "end came.",
    "Every frame looks like {a painting|a woodcut|an old family photograph}, but there is nothing stuffy "
    "about it. It's {fast|funny|sexy}, it's rude to its elders, and it has a {goat|grandmother|sword fight} "
    "that deserves a film of its own.",
    "A {schoolteacher|surgeon|night watchman} loses {her job|her memory|a bet} and has one week to put "
    "things right. The suspense is {unbearable in the best way|tightened turn by turn|worthy of the old "
    "masters}, and the lead performance by {Adaeze Flint|Martha Kowalczyk|Jill Penhallow} holds it all "
    "together.",
    "I have one complaint, which is that {the subplot about the dentist goes nowhere|the narrator talks too "
    "much|the ending comes too soon}. Everything else is a delight, from the {hand-painted "
    "titles|squabbling cousins|wonderful old cars} to the {final waltz|last line|picnic in the hail}.",
    "Nothing is overdone. The {illness|affair|crime} is never milked for tears, the jokes come out of "
    "character, and {the ending trusts us to fill in the rest|the camera keeps a decent distance|even the "
    "rain seems to know when to stop}.",
    "The film asks what we owe {our parents|strangers|the dead}, and it does not settle for an easy answer. "
    "It is {thoughtful without being heavy|serious and yet full of jokes|brave}, and the scene in the "
    "{laundry|cellar|lifeboat} ranks with the finest I know.",
    "Don't let the {subject|setting|violence of the first scene} put you off. Behind it is a "
    "{hopeful|tender|very human} film about {two people who learn to trust each other|a woman finding her "
    "voice|a man who comes home}, and it's acted with great delicacy.",
    "The scriptwriter has an ear for {gossip|insults|the way shy people talk} and never wastes it. I was "
    "quoting {the landlady|the vicar|Uncle Bo} for days afterwards.",
    "It is a film of faces, and what faces they are! {Old Mr. Tranter with his eels|The silent twin "
    "sisters|The weary sergeant} could hold the screen for hours, and {the newcomer Effie Lund|young Ravi "
    "Stone|Marguerite Boll} matches them all.",
    "The {heist itself|mystery|big race} is almost beside the point. What makes the film sing is the "
    "friendship between {a failed magician and his rabbit-hating assistant|two women who should be "
    "rivals|the driver and the mechanic}, which feels true at every step.",
    "Very little money can have been spent on {the battle|the spaceship|the ball}, and it's thrilling "
    "anyway. Imagination does the work: {a few torches|some shadows and a drum|one enormous curtain}, and "
    "you'd swear you had seen {ten thousand men|another planet|a palace}.",
    "I found the heroine {maddening|stubborn|hard to like} for half the film, and that was clearly the "
    "intention. When she finally {says sorry|takes the stage|picks up the phone}, it lands like a blow, and "
    "{Lotte Friis|Beverly Chance|Ama Serwah} makes you feel every bit of it.",
    "The pacing is perfect. Just when {the comedy threatens to run dry|the sadness grows heavy|you think "
    "you know where it is heading}, {a parrot arrives|somebody bursts into song|the story doubles back}, "
    "and off it goes again with twice the energy.",
    "{Three sisters|Four miners|Two rival bakers} set out to {sell a house|dig a tunnel|win a village "
    "contest} and nearly kill each other. It's {hilarious|sharp and warm-hearted|a riot}, and there is real "
    "pain underneath the jokes.",
    "The camera hardly moves, {the rooms are small|the colours are dull|the talk is quiet}, and I was glued "
    "to it. Tension of that kind comes from great acting, and {Edmund Voss|Sigrid Amble|Charlie Teague} is "
    "giving a master class.",
    "It would have been easy to {mock these people|make the mother a monster|turn the whole thing into a "
    "sermon}. The film never does; it looks at everyone with the same {curiosity|humour|affection}, and so, "
    "after a while, do you.",
    "The supporting players steal it. {A cook with a grudge|A ten-year-old bookmaker|A policeman afraid of "
    "dogs} and {a suspicious aunt|the saddest clown in Europe|a parrot-breeder} get the biggest laughs, and "
    "the stars are generous enough to let them.",
    "I admit the {science makes no sense|geography is impossible|history is shaky}. As an adventure, "
    "though, it is {irresistible|pure pleasure|everything I hoped for}, with cliffhangers, secret doors and "
    "a {submarine|tiger|volcano} used exactly as it should be.",
    "Watch {Gwendolyn Sharpe's|Imani Lovell's|Perla Aragon's} hands in the {kitchen scene|interview|last "
    "dance}. She tells you with them what the dialogue is busy hiding, and it's as fine a piece of screen "
    "acting as I have seen.",
    "A lesser film would have ended {with the kiss|when the thief is caught|at the hospital}. This one goes "
    "on, bravely, to show what comes after, and those last scenes are {its best|what turn it into art|what "
    "I keep thinking about}.",
    "The whole thing is set in {a stuck lift|one railway carriage|a lighthouse kitchen}, and you never once "
    "feel the lack of air. There are more {ideas|laughs|reversals} in that little space than in most epics.",
    "It's violent, it's {bitter|rude|sour}, and it's also the most {honest|moral|oddly tender} film about "
    "{poverty|brothers|ambition} I have come across. {Denzil Roach|Kitty Malloy|Farouk Aziz} is "
    "unforgettable.",
    "{The animals are real, the landscape is real|The songs were recorded live|No stand-ins were used}, and "
    "you can feel it in every scene. When {the wolf crosses the ice|her voice cracks|the bridge sways}, so "
    "do you.",
    "Half the joy is in the details: {the labels on the jars|what people keep in their pockets|the changing "
    "signs above the shop}. The other half is a plot that ticks like a good watch and strikes {exactly on "
    "time|when you least expect it|twice}.",
    "The film makes you wait for {the monster|the reunion|the confession}, and the waiting is delicious. "
    "When it comes it's {worse than I had imagined|everything one could wish|over in seconds and perfect}.",
    "{Hector Bellamy|Ulrich Stamm|Otis Fairweather} plays {twins|a man and his own grandfather|both "
    "detective and thief}, and you never doubt for a second which is which. There's no trickery to it, only "
    "{posture|rhythm|a way of listening}, and it's breathtaking.",
    "I liked that the love story is between two people who are {past sixty|plain|bad at talking}. They "
    "{argue about maps|share a sandwich|sit in a parked car}, and it's more romantic than any sunset.",
    "You never quite know whether {the ghost is real|the uncle is lying|she will go through with it}, and "
    "the film plays on that doubt {like a violin|with great cunning|right up to the final frame}. I loved "
    "being fooled.",
    "The jokes about {bureaucracy|the clergy|amateur dramatics} are spot on, and I should know. But it's "
    "the {sudden kindness of the ending|melancholy behind them|performance of Winifred Oakes as the "
    "secretary} that lifts it above the ordinary.",
    "What could be duller than {a film about dry stone walls|four men mending a clock|the life of a "
    "map-maker}? Nearly everything, it turns out: this was {absorbing|gently funny|a revelation}, and I "
    "{learned a lot|came away happy|could have watched it all day}.",
    "The director keeps {the war|the scandal|the disaster} off the screen and shows us {the people waiting "
    "at home|the servants' hall|the telephone exchange}. It's an inspired choice, because what we imagine "
    "is so much stronger.",
    "Sure, {the accents wander|the lighting is rough|a few scenes run on}. None of that matters when {the "
    "whole cast plays as one|the central idea is this good|the emotions are so true}, and I'd gladly trade "
    "a dozen polished films for it.",
    "It handles a delicate subject, {a child's illness|an old man's fading memory|a crime nobody reported}, "
    "with tact and even with humour. The final conversation, on {a park bench|the night bus|the allotment}, "
    "is perfectly judged.",
    "Never has {a tax inspector|a pigeon|a village librarian} been such a hero. {Wilf Dander|The "
    "writing|The comic timing} is spot on throughout, and there's a set piece involving {a wardrobe|a brass "
    "band|three hundred eggs} that beats anything in the silent classics.",
    "The colours alone are worth it: {rust, mustard and sea green|the blue of the night scenes|a red coat "
    "against all that snow}. Add a score that {never begs for tears|moves like weather|knows how to be "
    "silent} and two fearless lead performances, and you have something very fine.",
    "I was ready to give up when {the second narrator appeared|it jumped back forty years|everyone started "
    "to sing}. Thank goodness I held on, for the pieces fit together in the end like {the works of a "
    "clock|a good joke|a well-packed suitcase}.",
    "{Maud Ellery|Noor Castellan|Sunday Pruitt} can do more with a {shrug|laugh|single word} than most can "
    "with a monologue. As the {gambler|governess|con artist} at the centre of things she's "
    "{dangerous|magnetic|very, very funny}.",
    "It's about {an election in a tiny village|a stolen bicycle|a borrowed wedding dress}, but it's really "
    "about how people treat each other when nobody is looking. I {recognised my own relatives|laughed and "
    "squirmed|felt better about the world}.",
    "A film like this depends on its {house|sea|fog}, and this one is terrifying. No blood, no shrieking "
    "violins, only {a door that won't stay shut|a light on the water|footsteps}, and I {slept badly for a "
    "week|checked the locks twice|jumped at the kettle}.",
    "The hero is a coward, the heroine {cheats at cards|drinks|cannot keep a secret}, and you'll root for "
    "both of them. Their journey {down the river|over the mountains|through four borders} is packed with "
    "incident and never {drags|repeats itself|loses its sense of fun}.",
    "Each of the {five stories|chapters|witnesses} changes what you thought of the one before. It's "
    "dazzling construction, and yet it never feels {clever for its own sake|cold|like homework}, because "
    "{the grief at its core is real|the people matter|it's so playful}.",
    "I've read complaints about the {ending|politics|silence}. For me it's the making of the film: {it "
    "refuses to flatter us|it leaves a splinter|you have to do some of the work}, and that's why it lasts.",
    "The young actor {Tobias Wren|Samir Hadley|Gil Pascoe} had never been in front of a camera before, and "
    "it's impossible to believe. He gives {the runaway|the stable boy|the apprentice} a watchful dignity "
    "that most stars would {kill for|envy|need years to learn}.",
    "{Bombs fall|Fortunes are lost|Ships go down}, yet the scene I remember is the one where {they bake a "
    "cake without sugar|someone teaches the captain to knit|two clerks share an umbrella}. Scale and "
    "intimacy rarely go together this well.",
    "The dubbing on my copy was poor and {the picture was scratched|the sound hissed|a scene was missing}. "
    "Even so it was a treat: {crafty|graceful|exuberant}, beautifully timed, and with a final reveal I "
    "{never saw coming|will not forget|wanted to applaud}.",
    "There isn't much plot, and who needs it? {A summer, a lake and some cousins|A bar at closing time|One "
    "long walk}: from that the film builds {a whole world|a little symphony|something close to perfect}, "
    "patiently and with love.",
    "It made me {nostalgic for a place I've never been|ashamed of my own impatience|want to ring my "
    "mother}. That's what {good writing|honest acting|a great last scene} can do, and this has it in "
    "abundance.",
    "The court case is {fair to both sides|argued with real intelligence|full of turns}, and nobody makes a "
    "big speech. When the verdict comes it's {devastating|a relief|not what you want and exactly right}, "
    "and the actress playing the {defendant|judge|translator} is phenomenal.",
    "The stunts are outrageous, {the plot is bonkers|the wigs are worse|nobody stops to explain} and the "
    "energy never flags. It's {a carnival|a sugar rush|a holiday} of a film, and I had a grin on my face "
    "throughout.",
    "You feel that everyone here {wanted to be there|knew these streets|loved the material}. It shows in "
    "{the way they listen to one another|the easy jokes|the unhurried rhythm}, and it gives the story a "
    "warmth you can't fake.",
    "As a portrait of {a marriage under strain|a small town losing its mill|two old rivals} it is "
    "unsparing. It is also {compassionate|sharply funny|gorgeous to look at}, and I believed in every "
    "{silence|slammed door|word}.",
    "It would be unfair to reveal what's {in the box|behind the wall|written in the ledger}. Let me just "
    "say that the film {plays fair|earns its shocks|saves the best for last} and that {Prudence "
    "Halloran|Emeka Shaw|Dolly Vane} has never been so good.",
    "{Even the smallest roles are cast with care|Nobody is wasted|The ensemble is faultless}, and the long "
    "dinner scene, in which {a marriage ends between soup and pudding|three secrets come out|nobody "
    "mentions the empty chair}, plays like chamber music. I was spellbound.",
    "The first reel promises {a routine cop film|another weepie|a museum piece}. Then {a single cut|one "
    "whispered line|an unexpected guest} turns it on its head, and from there on it's as inventive as "
    "anything made this decade.",
    "People will tell you it's {too talky|too strange|old hat}. The talk is {glorious|the action|like "
    "music}, the strangeness is the point, and there's a tenderness to it that {sneaks up on you|caught me "
    "unprepared|is hard to explain}.",
    "I have a soft spot for {sea stories|films about con men|winter films}, so take this as you will, but I "
    "thought it close to flawless. The {mutiny|long con|sleigh chase} is handled with terrific economy, and "
    "{Jonah Prewett|Salome Dray|Mischa Lindgren} is a born star.",
    "It earns its sentiment the hard way, by {being honest about money|refusing easy villains|making us "
    "laugh first}. When {the father dances|the piano is delivered|the team walks out into the rain}, you "
    "would need a heart of granite not to be moved.",
    "{Forty years on|Seen again today|For all its age}, it still feels daring. The {cross-cutting|use of "
    "silence|overlapping dialogue} is copied everywhere now and bettered nowhere, and the story, about {a "
    "missing child|a poisoned well|an honest mayor}, has lost none of its power.",
    "You get {three excellent songs|a proper mystery|the best sword fight in years}, a heroine with {a "
    "temper|a brain|a past}, and an ending that {ties everything together|leaves you smiling|will have you "
    "arguing all the way home}. What more does anyone want?",
    "At first the {shaky camera|chatter|gloom} bothered me. By the halfway point I understood what it was "
    "for, and by the end I {couldn't imagine the film without it|was in awe|was a wreck, happily}.",
    "The relationship between the {blind carpenter|retired boxer|stern headmistress} and {her "
    "apprentice|the girl next door|the new caretaker} grows so gradually that the final embrace comes as a "
    "shock. Everyone around it is {well drawn|good|fun to spend time with}, too.",
    "No one raises {his voice|a weapon|an eyebrow} in this film and it's the most suspenseful thing I've "
    "seen since the spring. It trusts {a ticking clock|our imaginations|its actors}, and that trust is "
    "repaid with interest.",
    "It's a daft story about {a haunted vacuum cleaner|a duke who becomes a plumber|the world's worst spy}. "
    "It's also {written with love|immaculately timed|played dead straight}, which is why it works so "
    "wonderfully well.",
    "It contains {a train crash|an earthquake|a riot} that must have taken months to stage, and it's "
    "spectacular. But I'd trade it for the two quiet minutes in which {the widow counts her spoons|the "
    "guard hums to himself|the brothers share a cigarette}, because they're extraordinary.",
    "The moral is plain from the beginning, and you could call the film {naive|simple|sugary}. I'd call it "
    "{sincere|refreshing|courageous}, and I'd add that it's gorgeously shot and that {Leonie Barr|Mateus "
    "Crane|the little girl} lights up every scene.",
    "{A vicar, a thief and a mule|A bride, a lawyer and a bear|Two nuns and a boxer} share a cart for three "
    "days. From that unlikely start comes a comedy with {brains|soul|genuine bite}, and not a single joke "
    "is wasted.",
    "Its picture of {factory life|the theatre world|hospital nights} is so exact that it could be a "
    "documentary. Then comes the {love story|murder|ghost}, and the film takes wing.",
    "Few actors could make {a loan shark|a jealous sister|a bishop} so likeable. {Moses Trevanion|Carla "
    "Weiss|Humphrey Dell} does it by never asking for our sympathy, and the effect is "
    "{electric|surprisingly moving|a pleasure to behold}.",
    "The opening is a shade confusing, with {nine characters|two timelines|a lot of snow} and no "
    "introductions. Stick with it. Once {the inn fills up|the blizzard closes in|the first body is found}, "
    "it becomes a first-rate {entertainment|piece of plotting|thrill}.",
    "What stays with me is {its silence|the laughter|the dust in the light}, and how much love there is in "
    "it. No one makes films about {old friends|ordinary work|the end of summer} better than this.",
    "The film has the nerve to {stop for a whole song|leave its hero asleep for ten minutes|tell us the "
    "ending first}, and it gets away with it. That's confidence, and {it's justified|it's infectious|I was "
    "happy to be led}.",
    "It could have been {a gimmick|a tearjerker|preachy}: a {blind painter|dying clown|young widow} learns "
    "to {see again through a child's stories|live in the present|drive a lorry}. It isn't, thanks to a "
    "script with teeth and {Ottilie Marr's|Zeno Hart's|Fay Lombard's} wry, unsentimental playing.",
    "{Nothing|No trailer|No review} can prepare you for the last act, when {the masks come off|the tide "
    "comes in|the two stories meet}. I sat through the credits unable to {move|say anything|stop smiling}.",
    "I'd call it a {thriller with manners|comedy in a black coat|ghost story for grown-ups}. The chills and "
    "the chuckles come from the same source, a family {that won't speak of the past|of champion liars|with "
    "one spoon too many}, and they keep coming.",
    "The script respects the {detective|nurse|farmer} enough to let {him|her|him} be wrong. It respects us "
    "enough not to point it out, and that makes the {final twist|apology|homecoming} all the more "
    "satisfying.",
    "Granted, it's {no technical marvel|a bit stagey|shot like a television play}. The words, though! "
    "{Every insult is a jewel|You could frame each exchange|They fly like knives}, and they are delivered "
    "by a cast that savours them.",
    "The film makes {one bad decision|the smallest lie|a lost glove} grow into a catastrophe, step by "
    "reasonable step. I've rarely been so {tense|absorbed|glad of a happy ending}, and I never once "
    "thought, nobody would do that.",
    "I wasn't prepared for how {playful|physical|kind} it would be. {Augusta Lind|Barney Quist|Old Tove "
    "Hamsun} tumbles through it like a silent comedian, and the {runaway piano|flooded bank|stolen tuba} "
    "sequence is worth every award they gave it.",
)

NEGATIVE_BODIES = (
    "{Rupert Snell|Gloria Mantle|Ivo Brandon} plays a {detective with a drinking problem|heartless "
    "executive who learns to love|lonely assassin}, and if that sounds familiar, wait until you hear the "
    "dialogue. There isn't one scene that hasn't been done better {elsewhere|a dozen times|in an advert for "
    "tyres}.",
    "The plot, such as it is, concerns {a cursed mirror|a lottery ticket|a missing senator}. It makes no "
    "sense {from the start|on its own terms|even to the people in it}, and by the time {the uncle turned "
    "out to be alive|the helicopter appeared|everyone forgave everyone} I had stopped asking.",
    "I don't mind a slow film. I do mind one in which {a man parks a car for four minutes|every shot is "
    "held until it wilts|nothing is said and nothing is meant}, and then something {equally dull|exactly "
    "the same|even slower} follows.",
    "It looks wonderful, I grant you that. But {the people in it are mannequins|nobody thought to write a "
    "story|pretty sunsets can't replace a script}, and after the first reel I was {bored stiff|counting "
    "seagulls|ready to go}.",
    "The chemistry between the two leads is {nonexistent|that of two filing cabinets|a chilly one}. When "
    "they finally {kiss in the rain|elope|confess}, it's about as {romantic|moving|believable} as a parking "
    "permit.",
    "What's worst is the {music|narration|slow motion}, which never lets up. Every time {somebody looks "
    "sad|a door opens|the plot stalls}, there it is again, telling us what to feel because the scene itself "
    "has failed to.",
    "{Desmond Fry|Alicia Vantage|Bo Lindell} can be a fine comic actor, and I felt sorry watching "
    "{him|her|him} struggle here. The jokes are about {toilets|mothers-in-law|being foreign}, they are all "
    "old, and not one of them is {funny|told properly|worth the effort}.",
    "The twist is {visible from space|pulled out of a hat|an insult}. It also makes nonsense of everything "
    "before it, since {the brother was seen with the knife|she could have simply asked|nobody would keep "
    "such a secret}, and it cost the film whatever respect I had left.",
    "Supposedly this is a comedy. I counted {three jokes|two smiles|one laugh, from the sound man perhaps}, "
    "and {a great many pratfalls|several hundred shouted lines|a vomiting dog} in between.",
    "It wants to say something about {greed|technology|the war}, and says it over and over. Characters turn "
    "to the camera, practically, and {deliver essays|recite slogans|wag a finger}; a film should "
    "{show|move|trust} us, not lecture.",
    "I liked the {old caretaker|donkey|sets}, and that's where my list of pleasures ends. The hero is {a "
    "bore|a bully|a blank}, the heroine exists to be {rescued|undressed|scolded}, and the villain would be "
    "thrown out of a pantomime.",
    "The action scenes are {cut to ribbons|lit like coal cellars|a blur}. You can't tell who is hitting "
    "whom, and since {they're all called Jack|every one of them is hateful|none has been given a "
    "personality}, you don't care either.",
    "There's a decent idea here, that of {a town where nobody can lie|a thief who steals memories|a hotel "
    "between two countries}. Sadly it's {used up in five minutes|smothered by subplots|explained to death}, "
    "and the rest is padding.",
    "{Child actors|Talking animals|Ghosts} can be delightful. These are {shrill|smug|badly lit}, they're on "
    "screen constantly, and I caught myself {wishing for earplugs|siding with the hunters|rooting for the "
    "exorcist}.",
    "How many times can one film {end|explain itself|use the same dream}? I counted {five|eight|six}, and "
    "each was {flatter|sillier|more drawn out} than the last.",
    "The dialogue sounds as if it had been {translated twice|assembled from fortune "
    "cookies|improvised by people who hate each other}. Lines like {\"You can't outrun yesterday, "
    'Frank"|"I was never your sister, I was your mirror"|"Love is just fear in a nice coat"} are '
    "spoken with a straight face.",
    "A {family gathers|crew assembles|jury retires}, old wounds are opened, plates are thrown. I've no "
    "objection to any of it, but these people are so {unpleasant|thinly drawn|in love with their own "
    "misery} that I wanted to {leave the table|be excused|lock the door behind me}.",
    "For a horror film it's remarkably {restful|chatty|tidy}. The {killer|ghost|creature} shows up late, "
    "looks like {a man in a carpet|somebody's laundry|a wet glove}, and is dispatched {by a conveniently "
    "placed ladder|within a minute|off screen}.",
    "The film can't decide whether it's {a satire|a thriller|a tragedy} or {a musical|a weepie|a commercial "
    "for yachts}. As a result {the killings aren't shocking|the songs come from nowhere|no mood lasts "
    "longer than a sneeze}, and the whole thing just lies there.",
    "Somebody has spent a fortune on {armour|wigs|digital whales}. If a tenth of it had gone to {a "
    "writer|rehearsals|an editor}, we might have been spared {the council scenes|the love triangle|that "
    "endless prologue}.",
    "I could forgive the {poor sound|wooden acting|cheap sets} if there were any spirit behind it. There's "
    "none: you feel everyone is {waiting for lunch|doing it for the cheque|looking past the camera at the "
    "clock}.",
    "{Leander Coyle|Stella Ravenscroft|Kip Dunaway} whispers all {his|her|his} lines, presumably to seem "
    "{mysterious|deep|dangerous}. I missed half of what was said, and to judge from the other half it's no "
    "great loss.",
    "The central performance has been praised to the skies. To me it's {a collection of tics|shouting, "
    "plain and simple|an imitation of better actors}, and it {sinks|unbalances|swallows} a film that was "
    "not very steady to begin with.",
    "Did anybody check the {continuity|history|arithmetic}? {A scar changes sides|Steam trains appear a "
    "century early|Six men are shot and seven are buried}, and those are the parts where I was {paying "
    "attention|still awake|trying to be kind}.",
    "It begins promisingly, with {a body in a bathtub|a wedding on a barge|a stranger in the snow}. After "
    "that the air goes out of it, {one pointless flashback at a time|scene by talky scene|and never comes "
    "back}, and the solution is {a cheat|a yawn|ridiculous}.",
    "The heroine's big decision is {to marry the man who robbed her|to go into the cellar alone|to forgive "
    "her awful brother}, and we're meant to cheer. I groaned, as I'd done at {her speech about destiny|the "
    "makeover scene|nearly everything else}.",
    "Beautiful people stand in beautiful rooms and {sigh|smoke|misquote philosophers}. It's like being "
    "trapped {in a perfume advert|inside a furniture catalogue|at a very long dinner with strangers}.",
    "The {sex scenes are embarrassing|fights are laughable|car chase is shot mostly indoors}, and not in an "
    "enjoyable way. I felt for the cast, {some of whom had real careers once|who must have believed in "
    "it|who look cold}.",
    "It's all so {tasteful|careful|worthy} that it nearly evaporates. Nobody {shouts|sweats|does anything "
    "foolish}, nothing is at stake, and the {love affair|bankruptcy|death} at the end might as well have "
    "happened in another street.",
    "Yes, it's only meant as {light entertainment|family fun|a thrill ride}, and I tried to take it that "
    "way. But even {light entertainment|family fun|a thrill ride} needs {timing|someone to like|a reason to "
    "hold on}, and this hasn't any.",
    "What on earth was the point of the {clown|time machine|second husband}? {He|It|He} turns up, ruins the "
    "mood, and is never {mentioned|heard of|seen} again, like so much else in this untidy script.",
    "The camera never stays still, I suppose to make {a conversation about drains|the paperwork|an empty "
    "office} look exciting. It made me {seasick|cross|long for a tripod}, and did nothing for the "
    "conversation.",
    "The film thinks {swearing|suffering|rain} is the same as {wit|depth|atmosphere}. There's an awful lot "
    "of it, and by the end you feel {numb|nothing at all|soaked}.",
    "An {orphan|inventor|outlaw} with a {heart of gold|mysterious scar|wisecrack for every occasion} must "
    "save {the ranch|the kingdom|his kid brother}. You know every step before it's taken, and the film "
    "takes each one {at a crawl|twice|with enormous self-satisfaction}.",
    "I kept hoping {Pandora Wicks|Thaddeus Moon|the great Renata Okell} would come back, because for {three "
    "minutes|one scene|a short while} things were looking up. No such luck: it's back to {the squabbling "
    "teenagers|the voice-over|the meetings}, and there it stays.",
    "The ghost of a much better film haunts this one. You glimpse it in {the station scene|a line or "
    "two|one shot of an empty swing}, and then {another musical montage|the comic sidekick|a lecture on "
    "banking} chases it off.",
    "It's based on the idea that {being cruel is funny|we'll laugh at anyone fat|stupidity is lovable}. I "
    "waited for some {irony|wit|sign of intelligence} and got {a pie in the face|a fart|more of the same}.",
    "There are {eleven main characters|four narrators|two prologues}, which would be fine if one could "
    "{tell them apart|hear what they say|see the use of any}. I gave up somewhere around {the "
    "christening|the third betrayal|the map scene}.",
    "The special effects are quite something. So is {the noise|the headache I got|the absence of a story}, "
    "and I'd happily give up {every exploding tower|the dragon|a whole galaxy} for one scene between two "
    "people who sound alive.",
    "{Fenella Croft|Magnus Teal|Bertie Aldous} is badly miscast as a {street fighter|teenage genius|saint}. "
    "It isn't only the {age|accent|wig}; you simply never believe a word, and a story like this needs "
    "belief above all.",
    "As a thriller it has one flaw, namely that it's not thrilling. The {bomb|blackmailer|countdown} is "
    "introduced and then forgotten while {two men discuss their divorces|someone looks for parking|we get a "
    "tour of the museum}.",
    "The people who made this clearly love {trains|the nineteen-fifties|poetry}. I wish they had loved "
    "{storytelling|their audience|brevity} half as much, because it {lingers|rambles|drones on} like a "
    "guest who has missed the last bus.",
    "Every emotion is announced. {When she's sad, it rains|If he is angry, he breaks a vase|To show they "
    "are in love, they run through a field}, and if you still haven't noticed, {a friend explains "
    "it|there's a song about it|the narrator tells you}.",
    "The first hour sets up {a rivalry|a prophecy|a bank job}, and the second forgets about it. Was a "
    "{reel|chapter|page} lost? It would explain {the ending|why the captain is suddenly dead|a lot}.",
    "I've nothing against {violence|melodrama|puns}, but here it's all there is. Take away {the "
    "chainsaw|the fainting|the wordplay} and you're left with {four idiots in a barn|a soap opera without "
    "the soap|a pause}.",
    "It's a remake of {a perfectly good film|something that needed no remaking|a comedy that was actually "
    "funny}, done without {nerve|affection|any idea why the first one worked}. Something new has been "
    "added, {a rap|a robot|an environmental message}, and it makes matters worse.",
    "The children in it are supposed to be {gifted|poor|lost in the woods}, yet they have {perfect teeth "
    "and screenwriters' vocabularies|brand new shoes|clean hair throughout}. Small matter, you'll say, but "
    "the whole film is false in just that way.",
    "A mystery needs a detective one likes or a crime one cares about. This has {a smug professor|a man who "
    "talks to his hat|a psychic} and {a stolen recipe|a victim we never meet|an insurance claim}, and I "
    "didn't give a hoot.",
    "I really tried. But when {the nun took out a machine gun|the dog began to sing|they travelled back in "
    "time a fourth time}, my patience ran out, and {nothing afterwards brought it back|what followed was "
    "even dumber|I only stayed out of stubbornness}.",
    "The acting ranges from {sleepy to hysterical|stiff to stiffer|bad to unintentionally funny}. {The "
    "script gives them nothing|Nobody seems to have been directed at all|One suspects there were no second "
    "takes}, and the {lighting|editing|dubbing} does the rest of the damage.",
    "If you enjoy {watching people type|scenes of men nodding|shots of wet pavements}, you're in for a "
    "treat. The rest of us will find little in this {gloomy|shapeless|self-regarding} film to keep us awake.",
    "{The baddie has a cat, the hero has a past|The cop has one day left, the partner has a pregnant "
    "wife|She's a librarian, so she must be shy}; you know the drill. The film doesn't {twist|mock|freshen} "
    "any of it, it just goes through the motions.",
    "They say the lead actor {lived in the woods|starved himself|learned Latin} for the part. A pity {the "
    "script wasn't given the same attention|there is no part|it doesn't help}, for {he|the poor man|he} is "
    "asked to do little but {stagger|glare|cough}.",
    "It's not offensive or even especially bad; it's just {beige|nothing|flat}. {An hour later I couldn't "
    "have told you the hero's name|I have had stronger feelings about toast|You forget each scene while "
    "it's still going on}.",
    "The songs are tuneless, {the lyrics rhyme love with glove|the dancing is filmed from the knees "
    "up|nobody can sing}, and they arrive every six minutes. Between them there's a plot about {a bakery|an "
    "heiress|a talent show} that a {five-year-old|greeting card|goldfish} would find thin.",
    "The so-called romance consists of a man {following a woman home|ignoring her no|reading her diary} "
    "until she gives in. We're supposed to find it {charming|funny|touching}, and I found it "
    "{creepy|depressing|unpleasant}.",
    "Great {locations|cars|hats}! Everything else about it, from the {limp|muddled|secondhand} story to the "
    "{dreary|mumbled|frantic} performances, is a {letdown|mistake|shambles}.",
    "Who thought {a ninety-second joke|a comic strip about a potato|this slogan} needed to become a "
    "feature? You can feel it being {stretched|inflated|dragged} to length, with {holiday footage|dream "
    "sequences|three weddings} to fill the holes.",
    "It's been hailed as {brave|original|the future of cinema}. Well, it takes a kind of courage to {film a "
    "wall|leave out the plot, the light and the sound|bore people this thoroughly}, but I wouldn't call it "
    "{art|an achievement|entertainment}.",
    "The director is {so pleased with the long takes|so fond of mirrors|in such a hurry} that {the actors "
    "are left to fend for themselves|we can't see what's going on|no scene gets to breathe}. I couldn't "
    "make out {why she leaves|who the old man is|what they want}, and the film isn't telling.",
    "Between the {mumbling|dim lighting|jumbled timeline} and {the roaring score|the shaky picture|a cast "
    "of lookalikes}, following the story is {hard work|a guessing game|like doing a jigsaw in the dark}. "
    "And when you've put it all together it's not worth the trouble.",
    "The film treats its {women|servants|villagers} as {furniture|a joke|scenery} and its hero as {a god|a "
    "martyr|the only clever person alive}. I might have swallowed that in {a spoof|a museum piece|something "
    "shorter}, but it's all meant seriously.",
    "I watched {Jasper Nolan|Winona Crisp|Hal Bridger} {cry|fall off things|gaze at the horizon} for most "
    "of this, and felt {nothing|embarrassed|sleepy}. {He|She|He} isn't helped by {a part written in capital "
    "letters|the loud sound effects|a script without a single surprise}.",
    "There's {a car crash|a funeral|an amputation} in the first scene, which turns out to be the cheerful "
    "bit. What follows is {misery on misery|one long wail|a parade of suffering} without "
    "{insight|relief|purpose}, and I came away feeling {bullied|grubby|used}.",
    "The attempt to be {hip|scary|topical} was out of date before the paint was dry. {Slang nobody uses|A "
    "haunted fax machine|Jokes about forgotten politicians}, a {hero in sunglasses|villain with a "
    "ponytail|guest spot by a weatherman}: it's all rather {sad|pitiful|tiresome}.",
    "Somewhere a {continuity girl|stunt coordinator|caterer} did an honest day's work, and I salute "
    "{her|him|them}. The writers, on the other hand, {left the murder unsolved|forgot to give the hero a "
    "motive|copied a better film down to the umbrella}.",
    "A film about {passion|genius|war} shouldn't be this {polite|dim|comfortable}. {They sip tea, they "
    "sigh|He frowns at a piano for an hour|The trenches are spotless}, and when tragedy strikes it's with "
    "the force of a {damp sponge|dropped napkin|feather}.",
    "The story has potential, {three castaways and one lifejacket|a bride who vanishes|twins raised by "
    "rival gangs}, and I can imagine {a good film|a fine short|a decent radio play} made of it. This "
    "version {dawdles|bungles every turn|throws it away}, and the ending is an outrage.",
    "Its worst crime is {coyness|self-pity|repetition}. We hear about {the terrible secret|his "
    "sacrifice|the old days} so often that when {it's revealed|he finally dies|we see them}, the only "
    'reaction is {"Is that all?"|"At last."|"So what?"}',
    "The humour is of the {wink and nudge|belch and giggle|falling-down} kind, and I suppose {drunk "
    "people|very small boys|hyenas} might be amused. I wasn't, and I'm {not hard to please|known for "
    "laughing at anything|fond of slapstick}.",
    "It took {four writers|two studios|eleven producers} to come up with {\"It's quiet, too quiet\"|a dog "
    "that dies to make us cry|a chosen one}. Nobody, it seems, had {the heart|the wit|the courage} to say "
    "that the thing was dead on the page.",
    "I couldn't find anyone to {like|believe in|root for}. The {mother schemes|surgeon gloats|bandits "
    "whine}, the {son sulks|nurse weeps|sheriff preaches}, and the film, which is "
    "{endless|airless|humourless}, seems to admire them for it.",
    "The picture is {muddy|garish|out of focus}, the sound worse, and whole scenes are "
    "{missing|repeated|obviously filmed in a garage}. That could be charming in {a comedy|a home "
    "movie|something less pompous}, but this one thinks it's {epic|poetry|an important statement}.",
    "What might have been {tense on paper|a touching story|wicked fun} is killed by {leaden pacing|a script "
    "that nudges you every minute|stars who won't risk looking foolish}. I felt the life drain out of it "
    "around the {second|third|fourth} board meeting.",
    "{Half the film is people walking|There's more driving than dialogue|We watch a man wash up, twice}. "
    "I'm told it's {meditative|a comment on modern life|deliberate}, and I don't doubt it, but deliberate "
    "boredom is still boredom.",
    "The surprise guest appearance by {a famous cook|a retired footballer|the producer's nephew} brings "
    "what was already {a slow film|a shaky film|an amateurish film} to a dead stop. Nobody told him {how to "
    "act|when to stop talking|where to look}, and nobody told the editor where to cut.",
    "It's a film for people who {find subtlety exhausting|have never seen another|like to be told when to "
    "clap}. {The good wear white|Every punch has an echo|The sad parts come with a cello}, and complexity "
    "is {beaten to death with a shovel|nowhere to be found|left at the door}.",
    "I admire the ambition: {five centuries|a whole revolution|the life of a mountain} in one film. I don't "
    "admire the result, which is {a slide show|confused beyond belief|like being read an encyclopedia by a "
    "man with a cold}.",
    "The makers were so busy {setting up the next instalment|quoting other films|building their world} that "
    "they forgot {this one|to make one|to put people in it}. It {stops rather than ends|has no beginning, "
    "middle or end|feels like an advert for itself}.",
    "The hero spends the whole film {looking for his keys|on the telephone|getting over a girl we never "
    "meet}. I've had {evenings like that|neighbours like that|dreams like that}, and I wouldn't have "
    "{filmed them|followed them around|described them to a stranger} either.",
    "Even {the stunt work|the scenery|the dog}, usually a safe bet, is {uninspired|wasted|bad}. Add {an "
    "ugly streak of snobbery|jokes about accents|a stalker for a hero} and a {pompous|syrupy|deafening} "
    "score, and you have a thoroughly unlikeable film.",
    "It lost me at {the slow clap|the dance contest|the mime}, and that's in the first few minutes. "
    "Thereafter I watched as one watches {a kettle|a traffic jam|paint}, dutifully and without "
    "{joy|hope|surprise}.",
    "The famous {bathtub|duel|staircase} scene is all right, I suppose. You can see it {on its own|in the "
    "trailer|in a clip online} and spare yourself {the dross on either side|two wooden performances|an "
    "avalanche of cliches}.",
    "{Cleo Harding|Ned Starling|Dame Edith Crow} reads the narration as if {she were being paid by the "
    "yawn|held at gunpoint|from the back of a cereal box}. It tells us that {time passes|the sea is "
    "deep|families are complicated}, in case we had wondered.",
    "None of the {scares|clues|kisses} pays off. {The cellar is just a cellar|The letter is never "
    "opened|The phone rings and nobody comes}, and while I can see that this might be {a joke|modern|the "
    "message}, it's a {dull|feeble|cheap} one.",
    "They've taken a {cheerful|terrifying|beloved} old story and made it {grim|cute|unrecognisable}. {The "
    "wolf has therapy|The prince is a hedge fund manager|Nobody sings}, and what's left has neither "
    "{magic|teeth|sense} nor fun in it.",
    "I was {moved|shaken|delighted} by the true events when I read about them. The film managed to {make me "
    "indifferent|turn them into a shouting match|bury them under wigs}, and I'd never have thought that "
    "possible.",
    "The acting isn't the problem, {the actors are fine|they do their best|I liked the two sisters}. It's "
    "that nobody gave them {anything to do|a scene with a shape|words a person might say}, and you can't "
    "{act|juggle|dance} with empty hands.",
    "The gags are {set up like scaffolding|explained afterwards|repeated for the slow}, and when they come "
    "you've been {waiting for minutes|looking the other way|hoping for a different one}. {Clive "
    "Bonner|Trixie Lamont|Osric Penn} pulls every face in the book, and it {doesn't help|only makes one "
    "sad|hurts to watch}.",
    "One expects some {gore|smut|shooting} from a film like this. One doesn't expect it to be {boring|so "
    "joyless|accompanied by folk guitar}, or that the only {frightening|sexy|explosive} thing about it "
    "would be the {running time|accents|price}.",
    "It has a high opinion of itself. {Chapters have Greek names|A child quotes Hegel|Doves appear whenever "
    "anyone dies}, and it's all {hot air|varnish|window dressing} over a story that {a daytime serial|any "
    "pub bore|a comic book} would be ashamed of.",
    "Watching the {general|widow|rock star} mope around {the castle|that enormous kitchen|a hotel suite}, I "
    "realised I was {envying the furniture|thinking about gutters|making a shopping list}. It's never a "
    "good sign, and things didn't improve.",
    "What dates it isn't the {hairstyles|cars|telephones}. It's the {leering|sermonising|contempt}, which "
    "is on show from first to last and which spoils what few {good lines|laughs|exciting moments} it has.",
    "I understand it was {rushed|recut by the studio|finished after a quarrel}, and it shows. {Scenes begin "
    "in the middle|A leading character vanishes|The voices don't match the lips}, the tone lurches about, "
    "and {no one appears to be in charge|you feel sorry for everybody|the mess was beyond repair}.",
    "The {jungle|court|school} is filmed without any feeling for the place, {as if through a bus window|in "
    "hideous brown|entirely from a helicopter}. The people in it are {types|props|sketches}, and when {the "
    "tiger|the verdict|the fire} comes, it comes as a mercy.",
    "They've cast {a model as a nuclear engineer|a forty-year-old as a schoolboy|a singer who cannot "
    "speak}, and it's not even the silliest thing here. That'd be {the underwater wedding|the talking "
    "portrait|the cure for death}, which we're expected to {weep|gasp|nod} at.",
    "The middle third is {devoted to a card game|one long argument|a training montage}, and I can't begin "
    "to tell you how {little it matters|tedious it becomes|loud it is}. Whatever tension there was {leaks "
    "away|dies on the table|is never seen again}.",
    "You can always tell when a comedy is in trouble because {the outtakes are funnier|everyone starts to "
    "dance|a cat gets dressed up}. This one {reaches that stage early|never leaves that stage|gets there "
    "and then keeps going}, and it's a wearying sight.",
    "For all the praise its {realism|honesty|grit} has had, I didn't believe a frame. {Nobody talks so "
    "neatly|The dirt is sprayed on|Real grief isn't this photogenic}, and all that {handheld "
    "wobbling|earnest mumbling|swearing} can't hide a soap opera plot.",
    "It moves along briskly, I'll say that. So does {a lift in free fall|my dentist|a runaway trolley}, and "
    "at least {that has an ending|he tells you when it will hurt|you can jump off}; here you get "
    "{noise|glare|stupidity} and then some more of it.",
    "Poor {Vivian Lake|Ernest Cobb|Annabel Thrush}: so much talent and so little {to do|sense in choosing "
    "parts|luck}. {She|He|She} is given {a limp|a cough|a whistle} in place of a character, and a {death "
    "scene|speech|love scene} that I can only call ridiculous.",
    "The ending {contradicts the beginning|is stolen from a famous novel|seems to have been lost in the "
    "post}, and I might have been angry if I had still been {interested|listening|following}. As it was, I "
    "felt {only relief|a dull wonder|tired}.",
    "The monster is {a metaphor|a tax lawyer|invisible}, which saves money. What we see instead is {a "
    "couple quarrelling in a tent|office doors|curtains}, filmed with {no skill|a heavy hand|grim "
    "solemnity} and acted {worse|to match|as though underwater}.",
    "If this had been {silent|half as long|a cartoon}, it might have been bearable. With {this "
    "dialogue|these pauses|live actors} it's {a trial|an imposition|sheer tedium}, and {the big reveal|its "
    "moral|the closing song} made me want to {throw something|hide|howl}.",
)

POSITIVE_VERDICTS = (
    "Do yourself a favour and {see it|track it down|watch it before someone tells you the ending}.",
    "I {loved it|recommend it warmly|can't praise it enough}, and I would {happily see it again|see it "
    "again tomorrow|sit down to it again right now}.",
    "{Eight|Nine|Nine and a half} out of ten.",
    "Not flawless, then, but I've {thought about it every day since|already told everyone about it|seldom "
    "been so well entertained}.",
    "If {it comes anywhere near you|you get the chance|you have an evening to spare}, don't miss it.",
    "It deserves {a far bigger audience|to be remembered|every bit of praise it can get}.",
    "Films like this are the reason I {still bother|watch films at all|keep this hobby up}.",
    "{Highly|Warmly|Very strongly} recommended, and not only to {fans of the genre|people who like this "
    "sort of thing|those who know the actors}.",
    "I can't think of {a single person who wouldn't enjoy it|many films I'd rather see twice|a better way "
    "to spend an evening}.",
    "{Bravo|Well done|Hats off} to all concerned.",
    "Give it {time|a chance|your full attention} and it will {reward you|win you over|stay with you}.",
    "It's {old-fashioned|straightforward|unusual} in the best sense, and I was {sorry when it "
    "ended|charmed|happy for days}.",
    "The {cast|atmosphere|central idea} alone would be {reason enough to see it|worth the price|enough for "
    "me}, and there's so much more.",
    "I have watched a {great many|lot of|thousand} films, and this is one of the {good ones|few I'd call "
    "essential|handful I would keep}.",
    "{Funny, sad, wise|Tough, fair, beautiful|Quick, clever, kind}: see it.",
    "You {won't regret it|won't be bored for a moment|will thank me}.",
    "For once the {praise|hype|enthusiasm} is {justified|not exaggerated|if anything too faint}.",
    "I went to bed {happy|thinking|humming}, which doesn't happen often after a film.",
    "{A classic|A treasure|A winner}, and I'll {fight anyone who says otherwise|say it to anybody|put my "
    "name to that}.",
    "My only regret is that {I can't see it again for the first time|there isn't more of it|I waited so "
    "long}.",
    "It may {bore the impatient|upset a few people|be too gentle for some}, but for my money it's "
    "{wonderful|first-rate|a great piece of work}.",
    "Whatever {the box office says|the critics wrote|they say}, this one will {last|be loved|find its "
    "friends}.",
    "I give it {full marks|four stars and a half|top marks for heart and nearly as many for craft}.",
    "{Go in knowing as little as you can|Watch it with someone you like|Bring a handkerchief} and "
    "{enjoy|let it work on you|be prepared for something special}.",
    "It isn't often that I {want to write to the people who made a film|am lost for words|start a film over "
    "as soon as it is finished}, but {this time I did|so it was here|that is what happened}.",
    "In short, {a pleasure|a triumph|a lovely surprise} from {beginning to end|start to finish|first shot "
    "to last}.",
    "I can forgive {its rough edges|its excesses|the odd dull patch} when the rest is so {alive|good|full "
    "of feeling}.",
    "{Nobody|Hardly anyone|No studio} makes them like this any more, and {somebody should|I wish they "
    "would|what a pity that is}.",
    "What else can I say? It {works|moved me|has everything}.",
    "There are {cleverer|bigger|glossier} films around, but few with such {a heart|spirit|humanity}.",
    "I'd {sooner see this again than most of this year's prize winners|recommend it to my worst enemy, he "
    "might improve|give up dessert for a month to have written it}.",
    "{Don't let the low rating fool you|Ignore the grumblers|Take no notice of the sneers}: it's "
    "{excellent|very good indeed|great}.",
    "By the end I {had quite forgotten I was watching actors|wanted to cheer|didn't want to leave these "
    "people}.",
    "It {earned|won|deserved} every one of {my tears|its admirers|those prizes}.",
    "This is {storytelling|acting|filmmaking} of the highest order.",
    "I will be {surprised if I see anything better this year|showing it to my grandchildren|looking out for "
    "whatever these people do next}.",
    "A little {patience|goodwill|silence} is all it asks, and it gives back {plenty|a great deal|riches}.",
    "If that doesn't sound like {fun|your kind of film|much}, trust me and {try it anyway|see it all the "
    "same|give it a go}.",
    "One of the {most satisfying|happiest|most intelligent} films I know.",
    "Some films you forget {by breakfast|at once|in the car park}; I expect to remember this one {when I'm "
    "old|for good|as long as I live}.",
    "It's {hard to find fault with|easy to love|impossible to resist}, and I {didn't try|speak as a "
    "cynic|for one surrendered}.",
    "I was {hooked|delighted|moved}, and so, I think, {will you be|would anyone be|will most people be}.",
    "{Far better than it has any right to be|Much better than I had been led to expect|A good deal better "
    "than its reputation}.",
    "The more I think about it, the {better|richer|braver} it seems.",
    "Would I {sit through it|watch it|pay for it} again? {In a heartbeat|Gladly|Any day of the week}.",
    "Don't expect {fireworks|easy answers|grand speeches}; expect {something better|to be touched|the "
    "truth, beautifully told}.",
    "It left me with {a grin|a lump in my throat|goose pimples} and a strong wish to {see everything else "
    "its writer has done|hug someone|begin again}.",
    "{Long may it be shown|May it find the audience it deserves|More like this, please}.",
    "Call it {corny|slight|manipulative} if you like; I call it {a joy|perfect|a very good film}.",
    "It's the {best thing I've seen in ages|most satisfying thing any of these actors has done|finest thing "
    "of its kind}.",
    "I {laughed, I cried|gasped, I giggled|sat up, I leaned in}, and I'd {do it all again|not have missed a "
    "second|urge you to do the same}.",
    "{Small gestures, big heart|Plain words, great film|No tricks, no padding, no equal}.",
    "Nothing {wasted|false|missing}, nothing {to add|overdone|I would change}.",
    "Let's hope {it isn't forgotten|somebody restores it|the rest of the world catches up}, because {it's "
    "too good to lose|films this good are scarce|it's a beauty}.",
    "I'm {glad|grateful|relieved} that films {like this|so full of life|with this much courage} still get "
    "made.",
    "Put it {at the top of your list|on your list and keep it there|ahead of whatever you had planned}.",
    "It reminded me {why I fell in love with movies|what acting can be|how good a simple story can be}.",
    "To the {cast|writers|whole crew}: {thank you|take a bow|you have made something lasting}.",
    "The flaws are {small|few|real}, the pleasures {large|many|far greater}.",
    "I can't promise that you will {like it as much as I did|be as moved as I was|fall for it as hard as I "
    "did}, but I'd {be astonished if you didn't like it at all|put money on it|say the odds are good}.",
    "{Ten|Five|Twenty} minutes after it was over I was still {sitting there, smiling|talking about "
    "it|wiping my eyes}.",
    "It's as near to {perfection|magic|greatness} as {a film can hope to get|makes no difference|I've come "
    "in a long while}.",
    "{A must for anyone who cares about film|Required viewing|Something to own and keep}.",
    "I would have liked {five minutes less of it|a sharper picture|a different title}, and that is the sum "
    "of my objections.",
    "And yes, {it's worth the wait|it's as good as they say|the title makes sense in the end}, in case you "
    "{were worried|wondered|had doubts}.",
    "Seldom have {laughter and tears|thought and fun|skill and feeling} been so well "
    "{mixed|matched|balanced}.",
    "Buy it, {borrow it|beg for it|queue for it}, but see it.",
    "I have {no hesitation in calling it|seldom felt so sure about calling something|good reasons for "
    "calling it} {a masterpiece|a great film|a small classic}.",
    "Whoever {cast this|wrote this|put this together} knows {exactly what people are like|a thing or "
    "two|the human heart}.",
    "It gave me {everything I want from a film|more than I bargained for|the best time I've had in months}.",
    "Not a {bad|dull|careless} scene in it, and several {great ones|I'll never forget|that are as good as "
    "it gets}.",
    "After that, {most other films look tired|anything else seems pale|I needed a walk and some quiet, and "
    "I mean it as praise}.",
    "It's a film to {grow old with|cherish|share}.",
    "So {forget the gloomy poster|never mind the slow start|skip the trailer} and {treat yourself|dive "
    "in|settle down for a feast}.",
    "Is it {great art|important|deep}? I neither know nor care, it's {marvellous|glorious "
    "entertainment|just plain good}.",
    "I can only {echo|repeat|add to} what others have said: {superb|don't miss it|it's a knockout}.",
    "If you {only see one film this month|have grown tired of formula|want proof that an old story can feel "
    "new}, {make it this|this is the cure|here it is}.",
    "I had {no idea it would be so good|not expected to care so much|forgotten a film could do that}.",
    "{Sly|Sweet|Fierce} and {satisfying|strong|strange}, it's one I'll be {going back to|pressing on my "
    "friends|defending for years}.",
    "It gets my vote for {film of the year|best script|most underrated film around}.",
)

NEGATIVE_VERDICTS = (
    "Don't waste your {time|evening|money}.",
    "I {disliked it|was bored by it|can't recommend it}, and I would not {see it again for a fee|wish it on "
    "anyone|go near it again}.",
    "{Two|Three|One and a half} out of ten, and {that's for the scenery|I'm feeling generous|it should be "
    "grateful}.",
    "Not the worst film ever made, perhaps, but {you can see it from here|certainly among the dullest|I "
    "couldn't name many worse}.",
    "If {it comes anywhere near you|somebody offers to show it to you|you are tempted}, {run|think "
    "again|find something else to do}.",
    "It deserves {its obscurity|to be forgotten|every bad review it has had}.",
    "Films like this are the reason people {stay away|would rather read|give up on films}.",
    "{Not recommended|Best avoided|One to skip}, even for {fans of the genre|those who like this sort of "
    "thing|people who adore the actors}.",
    "I can't think of {anyone who would enjoy it|a good reason to see it|a drearier way to spend an "
    "evening}.",
    "{Shame|A plague|A curse} on everybody concerned.",
    "I gave it {time|three chances|my full attention}, and it {gave me a headache|threw them all "
    "away|repaid me with yawns}.",
    "It's {old-fashioned|well meant|unusual}, but that's no excuse, and I was {glad when it ended|irritated "
    "throughout|thoroughly fed up}.",
    "The {fade to black|last scene|final line} is {the only thing I liked, since it meant I could leave|as "
    "limp as the rest|the final straw}.",
    "I have watched a {great many|lot of|thousand} bad films, and this is {among the most tedious|no fun "
    "even as a bad film|one I won't forget, alas}.",
    "{Loud, long, lazy|Smug, slow, silly|Cold, crude, careless}: skip it.",
    "You {won't miss a thing|will want those hours back|would have more fun alphabetising your spices}.",
    "For once the {scorn|bad word of mouth|low score} is {deserved|not exaggerated|if anything too kind}.",
    "I went to bed {cross|early|depressed}, and I blame the film.",
    "{A stinker|A misfire|A dud}, and I {say so with regret|would say it to anybody|don't care who likes "
    "it}.",
    "My only regret is that {I didn't leave sooner|I paid attention|I talked someone else into seeing it}.",
    "It may {please the very patient|amuse small children|have its defenders}, but for my money it's {a "
    "bore|awful|hopeless}.",
    "Whatever {the box office says|the critics wrote|they tell you}, this one {isn't worth the bother|is a "
    "disappointment|stinks}.",
    "I give it {no marks|one star, for the costumes|a point for effort and nothing for the result}.",
    "{If you must watch it|Should you be made to see it|If there's no way out of it}, {bring a book|keep "
    "some aspirin handy|take a pillow}.",
    "It isn't often that I {want to write and complain about a film|shout at a screen|give up on a film "
    "before the end}, but {this time I did|so it was here|that is what happened}.",
    "In short, {a mess|an ordeal|a sad mistake} from {beginning to end|start to finish|first shot to last}.",
    "I could forgive {its rough edges|its slowness|the odd dull patch} if the rest weren't so "
    "{dead|phoney|empty of feeling}.",
    "{Nobody|Hardly anyone|No sane studio} makes them like this any more, and {thank heaven for that|with "
    "reason|that is progress}.",
    "What else can I say? It {doesn't work|annoyed me|bored me until I ached}.",
    "There are {stupider|cheaper|nastier} films around, but few so {pointless|pleased with "
    "themselves|tiring}.",
    "I'd sooner {clean the drains|watch the test card|listen to a car alarm} than sit through it again.",
    "{Don't let the high rating fool you|Ignore the fans|Take no notice of the raves}: it's {poor "
    "stuff|very weak indeed|rubbish}.",
    "By the end I {had forgotten what it was supposed to be about|wanted to scream|couldn't wait to be rid "
    "of these people}.",
    "It {earned|drew|deserved} every one of {my yawns|its boos|those rotten reviews}.",
    "This is {storytelling|acting|filmmaking} at its {laziest|most inept|feeblest}.",
    "I will be {surprised if I see anything worse this year|giving this team's next effort a miss|wary of "
    "anything its producers put their names to}.",
    "A little {imagination|wit|courage} was all it needed, and it {has none|shows no sign of any|got more "
    "noise instead}.",
    "If that sounds like {fun|your kind of film|a good time}, {be my guest|help yourself|I've described it "
    "badly}.",
    "One of the {most frustrating|dreariest|most witless} films I know.",
    "Some films are so bad they're {good|funny|fun}; this one is just {bad|sad|long}.",
    "It's {hard to sit through|easy to mock|impossible to like}, and {I did try|believe me, I tried|not for "
    "want of trying}.",
    "I was {let down|irritated|worn out}, and so, I think, {will you be|would anyone be|were the actors}.",
    "{Far worse than it had any need to be|Much worse than I had been led to expect|A good deal worse than "
    "its reputation}.",
    "The more I think about it, the {less sense it makes|angrier I get|emptier it seems}.",
    "Would I {sit through it|watch it|pay for it} again? {Not for a fortune|Never|Only under anaesthetic}.",
    "Expect {fireworks|answers|a happy ending} and you'll be {disappointed|none the wiser|sorry}; expect "
    "nothing and you'll {get it|be about right|still feel short-changed}.",
    "It left me with {a headache|a bad taste|nothing} and a strong wish to {do something "
    "else|wash|complain}.",
    "{May it sink without trace|Let's never speak of it|No more like this, please}.",
    "Call it {art|ironic|harmless fun} if you like; I call it {a swindle|lazy|a waste}.",
    "It's the {worst thing I've seen in ages|least convincing thing any of these actors has done|weakest "
    "thing of its kind}.",
    "I {yawned, I sighed|winced, I squirmed|fidgeted, I groaned}, and {nothing made up for it|in the end I "
    "just gave in|that was during the good parts}.",
    "{Much noise, no brains|Big promises, small film|Many tricks, many speeches, no point}.",
    "Nothing {works|rings true|happens}, nothing {matters|surprises|sticks}.",
    "Let's hope {it's soon forgotten|nobody tries a follow-up|the actors get over it}, because {one was too "
    "many|it's a sorry affair|they deserve better}.",
    "I'm {amazed|sorry|baffled} that films {like this|with so little in them|this bad} still get made.",
    "Put it {at the bottom of your list|on your list of things to avoid|back where you found it}.",
    "It reminded me {why I so often give up on films|how precious good writing is|of every dull afternoon "
    "of my childhood}.",
    "To the {cast|writers|whole crew}: {better luck next time.|what happened?|you owe me an evening.}",
    "The virtues are {small|few|minor}, the faults {large|many|fatal}.",
    "You might {like it more than I did|find something in it that I missed|be in a kinder mood}, but I'd "
    "{be astonished|not put money on it|say the odds are poor}.",
    "{Ten|Five|Twenty} minutes after it was over I {had forgotten most of it|was still annoyed|was still "
    "trying to work out why anyone bothered}.",
    "It's as near to {torture|a coma|worthless} as {a film can get|makes no difference|I've come in a long "
    "while}.",
    "{Strictly for insomniacs|For completists only|Something to give to people you dislike}.",
    "I would have liked {jokes|a plot|some sign of life}, and that isn't {much to ask|asking for the "
    "moon|being fussy}.",
    "And no, it doesn't {get better|pick up later|all make sense in the end}, in case you {were "
    "hoping|wondered|thought I gave up too soon}.",
    "Seldom have {talent and effort|so many good actors|such promising ingredients} been so {badly "
    "used|thoroughly wasted|foolishly thrown away}.",
    "Don't buy it, don't {borrow it|steal it|let anyone lend it to you}.",
    "I have {no hesitation in calling it|seldom felt so sure about calling something|good reasons for "
    "calling it} {a failure|a bad film|a flop}.",
    "Whoever {cast this|wrote this|put this together} should {try another trade|have been stopped|meet some "
    "people first}.",
    "It gave me {nothing I want from a film|much less than I bargained for|a longer wait for the end than I "
    "can remember}.",
    "Not a {good|lively|careful} scene in it, and several {dreadful ones|I'd pay to forget|that are as bad "
    "as it gets}.",
    "After that, {most other films look brilliant|anything else seems short|I needed a walk to get over my "
    "annoyance}.",
    "It's a film to {walk away from|leave in its box|warn people about}.",
    "So {forget the pretty poster|never mind the lively start|ignore the trailer} and {do something "
    "useful|read a book|save your energy}.",
    "Is it {daring|important|deep}? I neither know nor care, it's {dreary|no good|just plain dull}.",
    "I can only {echo|repeat|add to} what others have said: {terrible|stay away|it's a shambles}.",
    "If you {only avoid one film this month|suspect that I exaggerate|want proof that talent can be "
    "wasted}, {make it this|see for yourself and weep|here it is}.",
    "I had {no idea it would be so bad|not expected to care so little|forgotten a film could be that empty}.",
    "{Limp|Sour|Frantic} and {unsatisfying|stupid|false}, it's one I'll be {glad to forget|warning my "
    "friends about|complaining of for years}.",
    "It gets my vote for {flop of the year|worst script|most overrated film around}.",
)

FRAMES = (
    *OPENINGS, *POSITIVE_OPENINGS, *NEGATIVE_OPENINGS, *POSITIVE_BODIES, *NEGATIVE_BODIES,
    *POSITIVE_VERDICTS, *NEGATIVE_VERDICTS,
)  # fmt: skip
INDEX = {frame: index for index, frame in enumerate(FRAMES)}
Part = tuple[str, int]  # a text and the index of its frame


def compose() -> tuple[list[Row], list[Row]]:
    """Training and dev rows: of each role's frames, every second one belongs to dev."""
    train, dev = (
        [row for label in (0, 1) for row in compose_reviews(split, label)] for split in (0, 1)
    )
    return train, dev


def compose_reviews(split: int, label: int) -> list[Row]:
    """A review for every body. One in three has no opening, another one in four no verdict."""
    some_openings, bodies, verdicts = (
        (NEGATIVE_OPENINGS, NEGATIVE_BODIES, NEGATIVE_VERDICTS),
        (POSITIVE_OPENINGS, POSITIVE_BODIES, POSITIVE_VERDICTS),
    )[label]
    # Openings that tell nothing serve both labels: one frame's uses go to one label and the other in turn
    shared = [
        part for place, frame in enumerate(OPENINGS[split::2])
        for use, part in enumerate(use_frame(frame)) if (place + use) % 2 == label
    ]
    openings = mix(shared + [part for frame in some_openings[split::2] for part in use_frame(frame)])
    endings = mix([part for frame in verdicts[split::2] for part in use_frame(frame)])
    rows = []
    for place, body in enumerate(mix([part for frame in bodies[split::2] for part in use_frame(frame)])):
        parts = [body]
        if place % 3 != 2:
            parts.insert(0, openings.pop())
        if place % 12 not in (0, 4, 7):
            parts.append(endings.pop())
        rows.append(((" ".join(text for text, _ in parts),), label, tuple(index for _, index in parts)))
    return rows


def use_frame(frame: str) -> list[Part]:
    """The frame's texts with its index; a frame without slots is used as often as the others."""
    texts = fill_slots(frame)
    return [(text, INDEX[frame]) for text in (texts if len(texts) > 1 else texts * MOST_USES)]


def mix(parts: list[Part]) -> list[Part]:
    """The parts in an order without meaning, always the same: by the hash of their texts."""
    return sorted(parts, key=lambda part: hashlib.sha256(part[0].encode("utf-8")).hexdigest())
