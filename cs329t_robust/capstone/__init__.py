"""The capstone: attack a sealed model, defend one of your own, on hidden images and with a leaderboard."""
